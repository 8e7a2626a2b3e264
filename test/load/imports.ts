/**
 * Imports a generated Django deployment (20 000 users by default), and the same users from JSON lines, in processes of their own, in
 * rounds: by this release, and by another revision, which is built from git. Prints the CPU time for each user, of the command and of
 * PostgreSQL, the time, and the peak memory. Not part of `npm test`.
 *
 *   node build/test/load/imports.js [--users 20000] [--rounds 7] [--against fe11fdd]
 *
 * Needs `npm run build`, Linux, and PostgreSQL of this machine on 127.0.0.1:5432 or in DATABASE_URL.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { cpuUs } from '../bench/cpu.js'
import { buildRevision } from '../bench/former.js'
import { emptyDatabase, onServer } from '../helpers/database.js'
import { generateDjango } from '../helpers/django.js'
import { stores } from '../helpers/stores.js'
import { createOwner } from '../helpers/teardown.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'
import { machine } from '../helpers/machine.js'

const { values: { users: count, rounds, against } } = parseArgs({
  options: { users: { type: 'string', default: '20000' }, rounds: { type: 'string', default: '7' }, against: { type: 'string' } }
})
const users = Number(count)
const { databaseUrl } = await stores()
if (databaseUrl === undefined) throw new Error('needs PostgreSQL')
const server = databaseUrl

/** Prints the costs of the process as its last line. */
const METER = `data:text/javascript,${encodeURIComponent(`process.on('exit', () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  process.stderr.write('\\nMETER ' + JSON.stringify({ cpuUs: userCPUTime + systemCPUTime, peakKiB: maxRSS }) + '\\n')
})`)}`
const keys = { JWT_KEYS: `a:${randomBytes(32).toString('base64url')}`, SEAL_KEYS: `b:${randomBytes(32).toString('base64url')}` }

/** `cpuUs` is of the command, `serverUs` of its backends. */
interface Costs { cpuUs: number, serverUs: number, peakKiB: number, seconds: number }

/** Runs a command to its end. @throws if it fails */
async function command (cli: string, url: string, args: string[]): Promise<Pick<Costs, 'cpuUs' | 'peakKiB'>> {
  const child = spawn(process.execPath, ['--import', METER, cli, ...args], {
    env: { PATH: process.env['PATH'], DATABASE_URL: url, ...keys }, stdio: ['ignore', 'ignore', 'pipe']
  })
  const told = text(child.stderr)
  const [code] = await once(child, 'exit') as [number]
  const [, meter] = /METER (.*)/.exec(await told) ?? []
  if (code !== 0 || meter === undefined) throw new Error(`${cli} ${args.join(' ')}: ${code}: ${await told}`)
  return JSON.parse(meter) as Pick<Costs, 'cpuUs' | 'peakKiB'>
}

/** Starts to watch the backends of some databases. Returns a function that stops, and returns their CPU time. */
async function watchBackends (databases: string[]): Promise<() => Promise<number>> {
  const client = new pg.Client({ connectionString: server })
  await client.connect()
  const used = new Map<number, number>()
  const over = new AbortController()
  const watching = (async () => {
    while (!over.signal.aborted) {
      const { rows } = await client.query<{ pid: number }>(
        "select pid from pg_stat_activity where datname = any ($1) and backend_type = 'client backend'", [databases])
      for (const { pid } of rows) used.set(pid, await cpuUs(pid).catch(() => used.get(pid) ?? 0))
      await setTimeout(20)
    }
  })()
  return async () => {
    over.abort()
    await watching
    await client.end()
    return [...used.values()].reduce((sum, us) => sum + us, 0)
  }
}

const nameOf = (url: string): string => new URL(url).pathname.slice(1)

/** Imports into an empty database. @throws unless every user came */
async function run (cli: string, args: string[], source: string): Promise<Costs> {
  const owner = createOwner()
  try {
    const url = await emptyDatabase(owner, server)
    await command(cli, url, ['migrate', 'up'])
    const stop = await watchBackends([nameOf(url), nameOf(source)])
    const started = performance.now()
    const costs = await command(cli, url, ['import', ...args, '--json'])
    const seconds = (performance.now() - started) / 1000
    const serverUs = await stop()
    const [row] = await onServer(url, 'select count(*)::int as n from account')
    if (row!['n'] !== users) throw new Error(`${cli} ${args[0]}: ${String(row!['n'])} of ${users} users`)
    return { ...costs, serverUs, seconds }
  } finally {
    await owner.end()
  }
}

/** Writes the generated users as JSON lines, with their devices and codes. */
async function writeLines (sourceUrl: string, file: string): Promise<void> {
  const client = new pg.Client({ connectionString: sourceUrl })
  await client.connect()
  const out = createWriteStream(file)
  await client.query(`begin; declare people cursor for
    select json_build_object('username', username, 'email', email, 'passwordHash', password,
      'profile', json_build_object('firstName', first_name, 'lastName', last_name),
      'totp', (select coalesce(json_agg(json_build_object('secret', json_build_object('hex', key), 'name', name)), '[]')
        from otp_totp_totpdevice d where d.user_id = u.id and confirmed),
      'recoveryCodes', (select coalesce(json_agg(json_build_object('code', token)), '[]')
        from otp_static_staticdevice s join otp_static_statictoken t on t.device_id = s.id where s.user_id = u.id)) as line
    from auth_user u order by id`)
  for (;;) {
    const { rows } = await client.query<{ line: object }>('fetch 1000 from people')
    if (rows.length === 0) break
    if (!out.write(rows.map(({ line }) => `${JSON.stringify(line)}\n`).join(''))) await once(out, 'drain')
  }
  await new Promise<void>((resolve) => { out.end(resolve) })
  await client.end()
}

const owner = createOwner()
try {
  const source = await emptyDatabase(owner, server)
  await generateDjango(source, users)
  const file = join(await temporaryFolder(owner), 'users.jsonl')
  await writeLines(source, file)
  const ours = join('build', 'src', 'bin.js')
  const older = against === undefined ? undefined : join(await buildRevision(against), 'build', 'src', 'bin.js')
  const contestants: Array<[name: string, cli: string, args: string[]]> = [
    ...(older === undefined ? [] : [[`Django, ${against}`, older, ['django', '--from', source]] as [string, string, string[]]]),
    ['Django', ours, ['django', '--from', source]],
    ['JSON lines', ours, ['jsonl', file]]
  ]
  const costs = new Map(contestants.map(([name]) => [name, [] as Costs[]]))
  for (let round = 0; round < Number(rounds); round++) {
    for (const [name, cli, args] of contestants) costs.get(name)!.push(await run(cli, args, source))
  }
  console.log(`${machine()}: ${users} users, ${rounds} rounds, median (lowest–highest); CPU in µs for a user\n` +
    '| import | CPU of the command | of PostgreSQL | of both | seconds | peak MiB |\n| --- | ---: | ---: | ---: | ---: | ---: |')
  for (const [name, all] of costs) {
    const each = (of: (costs: Costs) => number, digits = 0) => {
      const sorted = all.map(of).toSorted((a, b) => a - b).map((value) => value.toFixed(digits))
      return `${sorted[sorted.length >> 1]} (${sorted[0]}–${sorted.at(-1)})`
    }
    const cells = [
      each(({ cpuUs }) => cpuUs / users), each(({ serverUs }) => serverUs / users),
      each(({ cpuUs, serverUs }) => (cpuUs + serverUs) / users), each(({ seconds }) => seconds, 1),
      Math.max(...all.map(({ peakKiB }) => peakKiB / 1024)).toFixed(0)
    ]
    console.log(`| ${name} | ${cells.join(' | ')} |`)
  }
} finally {
  await owner.end()
}
