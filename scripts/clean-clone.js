/**
 * Proves what the documents say of a checkout, in a clean clone of the last commit:
 *
 *   npm run clone
 *
 * 1. `npm ci` builds, and `npm start` listens, with the embedded database.
 * 2. Each `npx countersign …` of the documents runs beside that service. Those that need something else say so in one line.
 * 3. `npm ci --omit=dev && npm start` runs the build that is there, on the same data.
 */
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runToItsEnd } from './run-to-its-end.js'

const START_MS = 120_000
const PASSWORD = 'correct horse battery staple'
/** Commands that cannot do their work here, and what they say in place of it. */
const unable = [
  [/ import django /, /ENOTFOUND|EAI_AGAIN|django\.example\.org/],
  [/ user create .*--otp/, /The code is wrong/],
  [/ tables (up|status)/, /DATABASE_URL/],
  // 3: some rows could not come. The users are still here.
  [/ import jsonl /, /has this username already/]
]
/** Commands that other steps run, or after which the others do not. */
const elsewhere = /countersign (serve|migrate down)/

const folder = mkdtempSync(join(tmpdir(), 'countersign-clone-'))
const clone = join(folder, 'clone')
const env = { PATH: process.env.PATH, HOME: process.env.HOME, PORT: String(await freePort()), LOG_LEVEL: 'info' }
const base = `http://127.0.0.1:${env.PORT}`
/** The commands of the documents reset Ada's second factor; nothing happens to Bea. */
const [ada, bea] = ['ada', 'bea'].map((username) => ({ username, password: PASSWORD }))
let service

try {
  execFileSync('git', ['clone', '--quiet', '.', clone], { stdio: 'inherit' })
  timed('npm ci', () => npm('ci', '--no-audit', '--no-fund', '--prefer-offline'))
  await start()
  for (const user of [ada, bea]) await post('/users', { ...user, email: `${user.username}@example.org` })
  runCommands()
  await stop()
  timed('npm ci --omit=dev', () => npm('ci', '--omit=dev', '--no-audit', '--no-fund', '--prefer-offline'))
  if (existsSync(join(clone, 'node_modules', 'esbuild'))) throw new Error('npm ci --omit=dev left the tools of the build')
  await start()
  await post('/token', bea)
  await stop()
} finally {
  await stop()
  rmSync(folder, { recursive: true, force: true })
}

function timed (name, work) {
  const startedAtMs = performance.now()
  work()
  console.log(`${name}: ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`)
}

function npm (...args) {
  runToItsEnd('npm', args, { cwd: clone, env, stdio: ['ignore', 'ignore', 'inherit'] })
}

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Runs `npm start` until it serves. */
async function start () {
  const startedAtMs = performance.now()
  service = spawn('npm', ['start'], { cwd: clone, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const output of [service.stdout, service.stderr]) output.on('data', (bytes) => { said += bytes })
  for (;;) {
    if (await fetch(`${base}/readyz`).then(({ ok }) => ok, () => false)) break
    if (service.exitCode !== null || performance.now() - startedAtMs > START_MS) throw new Error(`npm start: ${said}`)
    await delay(50)
  }
  console.log(`npm start: ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`)
}

async function stop () {
  if (service === undefined || service.exitCode !== null || service.signalCode !== null) return
  const ended = new Promise((resolve) => service.once('exit', resolve))
  service.kill('SIGINT')
  await ended
}

async function post (path, body) {
  const answer = await fetch(base + path, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
  })
  if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`)
}

/** Returns each command line in the shell blocks of the documents, in the order of reading. */
function documentedCommands () {
  const files = ['README.md', 'UPGRADING.md', 'CONTRIBUTING.md', ...readdirSync(join(clone, 'docs')).map((name) => join('docs', name))]
  const texts = files.filter((name) => name.endsWith('.md')).map((name) => readFileSync(join(clone, name), 'utf8'))
  const blocks = texts.flatMap((text) => [...text.matchAll(/^ *```sh\n([^]*?)^ *```$/gm)].map(([, block]) => block))
  const lines = blocks.flatMap((block) => block.split('\n')).map((line) => line.replace(/ +# .*/, '').trim())
  return [...new Set(lines.filter((line) => line.startsWith('npx countersign ')))].filter((line) => !elsewhere.test(line))
}

function runCommands () {
  writeFileSync(join(clone, 'moving.key'), randomBytes(32).toString('base64url'), { mode: 0o600 })
  const faults = []
  const lines = documentedCommands()
  for (const line of lines) {
    const { code, said } = runCommand(line)
    const reason = unable.find(([command]) => command.test(line))?.[1]
    const isRight = code === 0 || ([1, 3].includes(code) && reason?.test(said) === true)
    if (!isRight) faults.push(`${line}\n  ${code}: ${said.trim()}`)
  }
  console.log(`${lines.length} commands, ${faults.length} faults`)
  if (faults.length > 0) throw new Error(faults.join('\n'))
}

/** Runs one as a shell does, with a new password on its standard input. */
function runCommand (line) {
  try {
    execFileSync('sh', ['-c', line], { cwd: clone, env, input: `${PASSWORD}\n`, stdio: 'pipe', timeout: START_MS })
    return { code: 0, said: '' }
  } catch ({ status, stdout, stderr }) {
    return { code: status, said: `${stdout}${stderr}` }
  }
}
