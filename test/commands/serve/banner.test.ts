import { spawn } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { bannerOf } from '../../../src/commands/serve/banner.js'
import { readConfig } from '../../../src/config/config.js'
import { embeddedDataDir } from '../../helpers/embedded-data.js'
import { need } from '../../helpers/need.js'
import { freshKeys } from '../../helpers/settings.js'
import { until } from '../../helpers/wait.js'

const script = await need('script')
const valuesOf = (lines: string[]) => Object.fromEntries(lines.slice(1).map((line) => line.trim().split(/ {2,}/, 2)))

t.test('six lines: with nothing set, and with everything', async (t) => {
  const trial = bannerOf(readConfig({}), 3000)
  t.equal(trial.length, 6)
  const base = 'http://localhost:3000'
  t.match(valuesOf(trial), { address: base, API: `${base}/docs`, off: 'PostgreSQL, Redis, webhook', stop: 'Ctrl-C' })
  const full = bannerOf(readConfig({
    ...freshKeys(),
    DATABASE_URL: 'postgres://u:secret@db/app',
    REDIS_URL: 'redis://:hidden@cache',
    DOCS: 'off',
    HOST: '0.0.0.0',
    PASSKEY_ORIGINS: 'https://app.example.org'
  }), 80)
  t.match(valuesOf(full), { address: 'http://localhost:80', API: /^no page/, store: 'PostgreSQL at db/app', off: 'webhook' })
  t.notMatch(full.join(), /secret|hidden/)
  t.match(valuesOf(bannerOf(readConfig({ HOST: '/run/countersign.sock' }), 0)), { address: '/run/countersign.sock' })
})

t.test('a terminal shows them in place of the log of the start', async (t) => {
  const env = { PATH: process.env['PATH'] ?? '', DATA_DIR: await embeddedDataDir(t), PORT: '0' }
  const server = join(import.meta.dirname, '../../../bundle/server.js')
  // `script` runs a program on a terminal of its own.
  const child = spawn(script, ['-qec', `${process.execPath} ${server}`, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  let shown = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { shown += text })
  const closed = new Promise((resolve) => { child.once('close', resolve) })
  await until('the lines', () => /^ {2}stop /m.test(shown), 60_000)
  const lines = shown.trimEnd().split('\r\n')
  t.equal(lines.length, 6, shown)
  const base = /address +(http:\/\/localhost:\d+)/.exec(shown)![1]!
  t.equal((await fetch(`${base}/livez`)).status, 200)
  child.stdin.write('\u0003')
  await closed
})
