import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { need } from './helpers/need.js'
import { isRunning } from './helpers/node-process.js'
import { freshSettings } from './helpers/settings.js'
import { until } from './helpers/wait.js'

await need('postgres')

const ROOT = join(import.meta.dirname, '../..')

t.test('O5 SIGTERM to npm drains the service, and nothing stays behind', { timeout: 120_000 }, async (t) => {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: '0', ...await freshSettings(t) }
  // Without `prestart`, which would rebuild the files of the running tests.
  const npm = spawn('npm', ['start', '--ignore-scripts'], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const output of [npm.stdout, npm.stderr]) output.on('data', (bytes: Buffer) => { said += bytes.toString() })
  const ended = once(npm, 'close')
  t.teardown(() => { npm.kill('SIGKILL') })
  const pid = Number(await until('the service to listen', () => /"pid":(\d+).*Server listening/.exec(said)?.[1], 60_000))
  t.teardown(() => { if (isRunning(pid)) process.kill(pid, 'SIGKILL') })
  const startedAtMs = performance.now()
  npm.kill('SIGTERM')
  const [code] = await ended
  t.equal(code, 0, said)
  t.match(said, /"signal":"SIGTERM"/, 'it heard the signal')
  t.ok(performance.now() - startedAtMs < 10_000)
  t.notOk(isRunning(pid))
})
