import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { program } from '../../src/commands/program.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'

await need('postgres')

const { app, db, settings } = await freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
const built = (name: string) => join(import.meta.dirname, '../../src', name)

interface Ended { code: number | null, signal: NodeJS.Signals | null, stderr: string }

/** Runs a line of shell with its pipes. Returns the exit code of our program, not of the last one in the pipe. */
async function inShell (line: string, env: Record<string, string> = settings): Promise<Ended> {
  const script = `${line.replaceAll('countersign ', `"${process.execPath}" "${built('bin.js')}" `)}; exit "\${PIPESTATUS[0]}"`
  const child = spawn('bash', ['-c', script], { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  const [code, signal] = await once(child, 'close') as [number | null, NodeJS.Signals | null]
  return { code, signal, stderr }
}

t.test('a reader that leaves early is no failure: no stack, and the exit code is that of the work', async (t) => {
  await db.query(`
    insert into account
      (id, username, username_key, password_hash, is_active, is_staff, email, phone, first_name, last_name, created_at, updated_at)
    select gen_random_uuid(), 'user' || n, 'user' || n, '', true, false, repeat('x', 200) || '@example.org', '', '', '', now(), now()
    from generate_series(1, 5000) n`)
  for (const line of [
    'user list | head -1', 'user list --json | head -1', 'user list | true', 'user find user | head -1', '--help | true',
    'config check | true', 'migrate status --json | true'
  ]) {
    t.same(await inShell(`countersign ${line}`), { code: 0, signal: null, stderr: '' }, line)
  }
  t.same(await inShell('countersign tables sql | head -1'), { code: 0, signal: null, stderr: '' })
  t.match(await inShell('countersign user show nobody | true'), { code: 1, stderr: /^[^\n]+\n$/ }, 'a failure is one all the same')
})

t.test('an export that nobody reads any more stops and fails, and no event says that the rest has left', async (t) => {
  await db.query('insert into otp_user (user_id) select id::text from account on conflict do nothing')
  t.match(await inShell('countersign export jsonl | head -1'), { code: 1, signal: null, stderr: /^The export is not complete[^\n]*\n$/ })
  const [{ n }] = await db.query<{ n: number }>("select count(*)::int as n from otp_event where kind = 'exported'") as [{ n: number }]
  t.ok(n > 0 && n <= 1_500, `${n} of 5000`)
})

t.test('the work is done, whoever reads', async (t) => {
  const ada = await signUp(app)
  expect(200, await ada.login())
  t.same(await inShell('countersign sessions end --all | true'), { code: 0, signal: null, stderr: '' })
  expect(401, await ada.request('POST', '/token/refresh', { refresh: ada.refresh }))
})

t.test('output that cannot be written is one line and exit code 1', { skip: !existsSync('/dev/full') && 'needs /dev/full' }, async (t) => {
  for (const line of ['user list', 'otp reset ada', '--help', 'keys new seal']) {
    t.match(await inShell(`countersign ${line} > /dev/full`), { code: 1, stderr: /^[^\n]*ENOSPC[^\n]*\n$/ }, line)
  }
  t.match(await inShell('countersign keys new seal 2> /dev/full'), { code: 0 })
})

t.test('the service goes on when nobody reads its log, and ends as it should', async (t) => {
  const env = { PATH: process.env['PATH'] ?? '', ...settings, PORT: '0', LOG_LEVEL: 'info' }
  const server = spawn(process.execPath, [built('server.js')], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => server.kill('SIGKILL'))
  const closed = once(server, 'exit')
  let [log, stderr] = ['', '']
  server.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  const address = await new Promise<string>((resolve) => {
    server.stdout.setEncoding('utf8').on('data', (text: string) => {
      log += text
      const found = /listening at (http:\S+?)"/.exec(log)?.[1]
      if (found !== undefined) resolve(found)
    })
  })
  server.stdout.destroy()
  for (let i = 0; i < 3; i++) t.equal((await fetch(`${address}/livez`)).status, 200)
  server.kill('SIGINT')
  t.same((await closed)[0], 0)
  t.equal(stderr, '')
})

t.test('countersign --help names every command, and each has a help of its own', async (t) => {
  const help = program.helpInformation()
  const leaves = program.commands.flatMap((group) =>
    group.commands.length === 0 ? [[group]] : group.commands.map((command) => [group, command]))
  t.ok(leaves.length >= 28)
  for (const path of leaves) {
    const words = path.map((command) => command.name()).join(' ')
    t.match(help, new RegExp(`^ +${words} `, 'm'), words)
    const own = path.at(-1)!.helpInformation()
    t.match(own, new RegExp(`^Usage: countersign ${words} `), words)
    t.match(own, / --json /, `${words} answers in JSON too`)
    t.notMatch(own, /the same$/m, words)
  }
})
