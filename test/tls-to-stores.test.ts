/** The tables of docs/operations.md about TLS, against servers with certificates of an own CA. */
import { execFile, execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { asPostgres, folderForPostgres, startPostgres, type PostgresServer } from './chaos/postgres-server.js'
import { freePort } from './helpers/free-port.js'
import { need } from './helpers/need.js'
import { startRedisServer } from './helpers/redis-server.js'
import { until } from './helpers/wait.js'

await need('initdb')
await need('redis-server')
await need('openssl')

/** The certificates of the servers are for `localhost` alone: at this address they are for another name. */
const OTHER_NAME = '127.0.0.1'
const CA_OF_DOCS = '/etc/ssl/our-ca.pem'
const EXTRA = `NODE_EXTRA_CA_CERTS=${CA_OF_DOCS}`

interface Row { address: string, hasExtraCa: boolean, results: string[] }

/** Returns the rows of the table under a heading. A row may name several addresses with the same results. */
async function tableOf (heading: string): Promise<Row[]> {
  const text = await readFile('docs/operations.md', 'utf8')
  const [, section = ''] = text.split(`\n### ${heading}\n`)
  const lines = section.split(/\n#/)[0]!.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| ---')).slice(1)
  return lines.flatMap((line) => {
    const [first = '', ...results] = line.slice(1, -1).split(' | ').map((cell) => cell.trim())
    const spans = [...first.matchAll(/`([^`]+)`/g)].map(([, span]) => span!)
    const addresses = spans.filter((span) => span !== EXTRA)
    return addresses.map((address) => ({ address, hasExtraCa: addresses.length < spans.length, results }))
  })
}

const folder = await folderForPostgres((undo) => { t.teardown(undo) })
const file = (name: string) => join(folder, name)

/** As PostgreSQL's user, which alone may own its key. */
function openssl (...args: string[]): void {
  execFileSync(...asPostgres('openssl', args), { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder })
}

function makeCertificate (name: string, subject: string, more: string[] = []): void {
  openssl(
    'req', '-newkey', 'rsa:2048', '-nodes', '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`), '-subj', `/CN=${subject}`, ...more
  )
  openssl(
    'x509', '-req', '-in', file(`${name}.csr`), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2',
    '-copy_extensions', 'copy', '-out', file(`${name}.pem`)
  )
}

openssl(
  'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=Our CA', '-keyout', file('ca.key'), '-out', file('ca.pem')
)
makeCertificate('server', 'localhost', ['-addext', 'subjectAltName=DNS:localhost'])
makeCertificate('client', 'certified')

/** Connects to each address in a new process, with or without the CA for all of Node. */
async function connected (urls: string[], hasExtraCa: boolean): Promise<string[]> {
  const env = { PATH: process.env['PATH'], ...(hasExtraCa ? { NODE_EXTRA_CA_CERTS: file('ca.pem') } : {}) }
  const program = join(import.meta.dirname, 'helpers', 'tls-probe.js')
  const { stdout } = await promisify(execFile)(process.execPath, ['--no-warnings', program, JSON.stringify(urls)], { env })
  return JSON.parse(stdout) as string[]
}

/** Returns the results of rows at one server, in order. */
async function resultsAt (rows: readonly Row[], urlOf: (address: string) => string): Promise<string[]> {
  const [without, having] = await Promise.all([false, true].map(async (hasExtraCa) => {
    const some = rows.filter((row) => row.hasExtraCa === hasExtraCa)
    const results = await connected(some.map(({ address }) => urlOf(address)), hasExtraCa)
    return some.map((row, i) => [row, results[i]!] as const)
  }))
  const all = new Map([...without!, ...having!])
  return rows.map((row) => all.get(row)!)
}

const expected = (rows: readonly Row[], column: number) => rows.map(({ address, results }) => `${address}: ${results[column]}`)
const got = (rows: readonly Row[], results: readonly string[]) => rows.map(({ address }, i) => `${address}: ${results[i]}`)

async function turnOnTls (server: PostgresServer): Promise<void> {
  for (const [name, value] of [['ssl_cert_file', 'server.pem'], ['ssl_key_file', 'server.key'], ['ssl_ca_file', 'ca.pem']] as const) {
    await server.query(`alter system set ${name} = '${file(value)}'`)
  }
  await server.query('alter system set ssl = on')
  await server.query('select pg_reload_conf()')
  await until('TLS', async () => (await server.query('show ssl'))[0]!['ssl'] === 'on')
}

t.test('TLS to PostgreSQL is as the table says', { timeout: 120_000 }, async (t) => {
  const rows = await tableOf('TLS to PostgreSQL')
  t.ok(rows.length >= 8)
  const server = await startPostgres((undo) => { t.teardown(undo) }, ['fsync=off'])
  const urlOf = (host: string) => (address: string) => {
    const query = address === 'sslmode absent' ? '' : `?${address.replaceAll(CA_OF_DOCS, file('ca.pem'))}`
    return `postgres://postgres@${host}:${server.port}/postgres${query}`
  }
  t.same(got(rows, await resultsAt(rows, urlOf('localhost'))), expected(rows, 0), 'without TLS')
  await turnOnTls(server)
  t.same(got(rows, await resultsAt(rows, urlOf('localhost'))), expected(rows, 1), 'with a certificate of the CA')
  t.same(got(rows, await resultsAt(rows, urlOf(OTHER_NAME))), expected(rows, 2), 'with one for another name')
})

t.test('PostgreSQL lets a client certificate in, and no user without one', { timeout: 120_000 }, async (t) => {
  const server = await startPostgres((undo) => { t.teardown(undo) }, ['fsync=off'])
  await server.query('create role certified login')
  await writeFile(join(server.data, 'pg_hba.conf'), 'hostssl all certified all cert\nhost all postgres all trust\n')
  await turnOnTls(server)
  const base = `postgres://certified@localhost:${server.port}/postgres?sslmode=verify-full&sslrootcert=${file('ca.pem')}`
  t.same(await connected([base, `${base}&sslcert=${file('client.pem')}&sslkey=${file('client.key')}`], false), ['refused', 'TLS'])
})

t.test('TLS to Redis is as the table says', { timeout: 120_000 }, async (t) => {
  const rows = await tableOf('TLS to Redis')
  t.ok(rows.length >= 3)
  const tlsPort = await freePort()
  const { port } = await startRedisServer(t, [
    '--tls-port', String(tlsPort), '--tls-cert-file', file('server.pem'), '--tls-key-file', file('server.key'),
    '--tls-ca-cert-file', file('ca.pem'), '--tls-auth-clients', 'no'
  ])
  const at = (host: string, port: number) => (address: string) => address.replace('redis.example.org', `${host}:${port}`)
  t.same(got(rows, await resultsAt(rows, at('localhost', port))), expected(rows, 0), 'without TLS')
  t.same(got(rows, await resultsAt(rows, at('localhost', tlsPort))), expected(rows, 1), 'with a certificate of the CA')
  t.same(got(rows, await resultsAt(rows, at(OTHER_NAME, tlsPort))), expected(rows, 2), 'with one for another name')
})
