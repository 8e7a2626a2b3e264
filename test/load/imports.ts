/**
 * Imports a generated Django deployment (20 000 users by default), and the same users from JSON lines, in processes of their own, in
 * rounds: by this release, and by older ones. Prints the CPU time for each user and the peak memory. Not part of `npm test`.
 *
 *   node build/test/load/imports.js [--users 20000] [--rounds 3] [--older FOLDER/build/src/bin.js]
 *
 * Needs `npm run build`, and PostgreSQL on 127.0.0.1:5432 or in DATABASE_URL.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { emptyDatabase, onServer } from '../helpers/database.js'
import { generateDjango } from '../helpers/django.js'
import { stores } from '../helpers/stores.js'
import { createOwner } from '../helpers/teardown.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

const { values: { users: count, rounds, older } } = parseArgs({
  options: { users: { type: 'string', default: '20000' }, rounds: { type: 'string', default: '3' }, older: { type: 'string' } }
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

interface Costs { cpuUs: number, peakKiB: number, seconds: number }

/** Runs a command to its end. @throws if it fails */
async function command (cli: string, url: string, args: string[]): Promise<Omit<Costs, 'seconds'>> {
  const child = spawn(process.execPath, ['--import', METER, cli, ...args], {
    env: { PATH: process.env['PATH'], DATABASE_URL: url, ...keys }, stdio: ['ignore', 'ignore', 'pipe']
  })
  const told = text(child.stderr)
  const [code] = await once(child, 'exit') as [number]
  const [, meter] = /METER (.*)/.exec(await told) ?? []
  if (code !== 0 || meter === undefined) throw new Error(`${cli} ${args.join(' ')}: ${code}: ${await told}`)
  return JSON.parse(meter) as Omit<Costs, 'seconds'>
}

/** Imports into an empty database. @throws unless every user came */
async function run (cli: string, args: string[]): Promise<Costs> {
  const owner = createOwner()
  try {
    const url = await emptyDatabase(owner, server)
    await command(cli, url, ['migrate', 'up'])
    const started = performance.now()
    const costs = await command(cli, url, ['import', ...args, '--json'])
    const seconds = (performance.now() - started) / 1000
    const [row] = await onServer(url, 'select count(*)::int as n from account')
    if (row!['n'] !== users) throw new Error(`${cli} ${args[0]}: ${String(row!['n'])} of ${users} users`)
    return { ...costs, seconds }
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
  const contestants: Array<[name: string, cli: string, args: string[]]> = [
    ...(older === undefined ? [] : [['Django, older release', older, ['django', '--from', source]] as [string, string, string[]]]),
    ['Django', ours, ['django', '--from', source]],
    ['JSON lines', ours, ['jsonl', file]]
  ]
  const costs = new Map(contestants.map(([name]) => [name, [] as Costs[]]))
  for (let round = 0; round < Number(rounds); round++) {
    for (const [name, cli, args] of contestants) costs.get(name)!.push(await run(cli, args))
  }
  console.log(`${users} users, ${rounds} rounds\n| import | CPU µs for a user, each round | peak MiB | s |\n| --- | --- | ---: | ---: |`)
  for (const [name, all] of costs) {
    const cpu = all.map(({ cpuUs }) => Math.round(cpuUs / users)).join(', ')
    const peak = Math.max(...all.map(({ peakKiB }) => peakKiB)) / 1024
    console.log(`| ${name} | ${cpu} | ${peak.toFixed(0)} | ${Math.min(...all.map(({ seconds }) => seconds)).toFixed(1)} |`)
  }
} finally {
  await owner.end()
}
