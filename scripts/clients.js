/**
 * Checks openapi.json with the tools of its readers, against the service itself, embedded:
 *
 *   npm run clients
 *
 * 1. Redocly and Spectral find no error by their recommended rules.
 * 2. The commands of docs/clients.md run in an empty folder. Clients are generated, compile under `strict`, and run the flow of
 *    clients/flow.ts.
 * 3. A proxy that validates sees that flow and the refusals without a violation by the service.
 *
 * The tools come from npm into build/clients, once. They accept Node 20; none of their install scripts runs.
 */
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { build } from 'esbuild'
import { runToItsEnd } from './run-to-its-end.js'

const FOLDER = resolve('build', 'clients')
const START_MS = 120_000
const tools = {
  '@hey-api/openapi-ts': '0.90.0',
  '@redocly/cli': '2.77.0',
  '@stoplight/prism-cli': '5.14.2',
  '@stoplight/spectral-cli': '6.16.3',
  '@types/node': '20.19.43',
  'openapi-fetch': '0.17.0',
  'openapi-typescript': '7.13.0',
  orval: '7.13.0',
  typescript: '5.9.3',
  zod: '4.6.7'
}
const clients = ['openapi-typescript', 'hey-api', 'orval']
const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', SCARF_ANALYTICS: 'false' }
const running = []

install()
const data = mkdtempSync(join(tmpdir(), 'countersign-clients-'))
try {
  lint()
  const base = await startService()
  runDocumented(base)
  generate(base)
  compile()
  for (const name of clients) await runProgram(name, base)
  const proxy = await startProxy(base)
  await runProgram('hey-api', proxy)
  await runProgram('refusals', proxy)
} finally {
  for (const child of running.reverse()) await stop(child)
  rmSync(data, { recursive: true, force: true })
}

function say (text) {
  console.log(`--- ${text}`)
}

/** Runs a tool in the folder of the tools. */
function run (...args) {
  execFileSync(join(FOLDER, 'node_modules', '.bin', args[0]), args.slice(1), { cwd: FOLDER, env, stdio: ['ignore', 'inherit', 'inherit'] })
}

function install () {
  const project = JSON.stringify({ private: true, type: 'module', dependencies: tools }, null, 2)
  const stamp = join(FOLDER, 'installed.json')
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== project) {
    rmSync(FOLDER, { recursive: true, force: true })
    mkdirSync(FOLDER, { recursive: true })
    writeFileSync(join(FOLDER, 'package.json'), project)
    const args = ['install', '--prefix', FOLDER, '--ignore-scripts', '--no-audit', '--no-fund']
    runToItsEnd('npm', args, { cwd: FOLDER, stdio: ['ignore', 'inherit', 'inherit'] })
    writeFileSync(stamp, project)
  }
  cpSync('openapi.json', join(FOLDER, 'openapi.json'))
  cpSync(join('scripts', 'clients'), FOLDER, { recursive: true })
}

function lint () {
  say('Redocly')
  run('redocly', 'lint', '--extends=recommended', 'openapi.json')
  say('Spectral')
  writeFileSync(join(FOLDER, 'spectral.yaml'), 'extends: ["spectral:oas"]\n')
  run('spectral', 'lint', '--ruleset', 'spectral.yaml', '--fail-severity', 'error', '--display-only-failures', 'openapi.json')
}

/** Runs the generators as a reader of the document does. */
function runDocumented (base) {
  say('the commands of docs/clients.md')
  const folder = mkdtempSync(join(tmpdir(), 'countersign-generated-'))
  try {
    const lines = readFileSync(join('docs', 'clients.md'), 'utf8').match(/^npx .+$/gm)
    const npxEnv = { ...env, npm_config_yes: 'true', npm_config_ignore_scripts: 'true' }
    for (const line of lines) {
      const command = line.replace('http://localhost:3000', base)
      runToItsEnd('sh', ['-ec', command], { cwd: folder, env: npxEnv, stdio: ['ignore', 'inherit', 'inherit'] })
      const [, output] = / -o (\S+)$/.exec(line)
      if (!existsSync(join(folder, output))) throw new Error(`${line}: no ${output}`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function generate (base) {
  say('generators')
  for (const name of clients) rmSync(join(FOLDER, name), { recursive: true, force: true })
  run('openapi-typescript', 'openapi.json', '-o', 'openapi-typescript/schema.d.ts')
  run('openapi-ts', '-i', 'openapi.json', '-o', 'hey-api')
  const output = (client, target) => ({ input: './openapi.json', output: { target, client, mode: 'single', baseUrl: base } })
  const config = { client: output('fetch', './orval/client.ts'), zod: output('zod', './orval/zod.ts') }
  writeFileSync(join(FOLDER, 'orval.config.cjs'), `module.exports = ${JSON.stringify(config)}\n`)
  run('orval', '--config', 'orval.config.cjs')
}

function compile () {
  say('TypeScript, strict')
  const compilerOptions = {
    strict: true,
    target: 'es2023',
    lib: ['es2023', 'dom', 'dom.iterable'],
    module: 'esnext',
    moduleResolution: 'bundler',
    types: ['node'],
    noEmit: true,
    skipLibCheck: true
  }
  const files = [...clients, 'refusals'].map((name) => `${name}.ts`)
  writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  run('tsc', '-p', '.')
}

/** Runs a program of the folder, in a process of its own. */
async function runProgram (name, base) {
  say(`${name} at ${base}`)
  const outfile = join(FOLDER, 'out', `${name}.mjs`)
  await build({
    entryPoints: [join(FOLDER, `${name}.ts`)], outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'error'
  })
  execFileSync(process.execPath, [outfile, base], { stdio: ['ignore', 'inherit', 'inherit'], timeout: START_MS })
}

/** Starts a program that stays. */
function start (program, args, more) {
  const child = spawn(program, args, { cwd: FOLDER, stdio: ['ignore', 'pipe', 'inherit'], ...more })
  child.said = ''
  child.stdout.on('data', (bytes) => { child.said += bytes })
  running.push(child)
  return child
}

async function stop (child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGINT')
  await ended
}

async function found (child, pattern) {
  for (const deadline = performance.now() + START_MS; performance.now() < deadline;) {
    const match = pattern.exec(child.said)
    if (match !== null) return match[1]
    if (child.exitCode !== null) break
    await delay(100)
  }
  throw new Error(child.said)
}

/** Starts the service with the embedded database, limits per network of which one is reached, and nothing else set. */
async function startService () {
  const settings = { PATH: process.env.PATH, PORT: '0', DATA_DIR: data, LIMIT_USERS_PER_HOUR: '12', LOG_LEVEL: 'info' }
  const child = start(process.execPath, [resolve('build/bundle/server.js')], { env: settings })
  return await found(child, /Server listening at (http:\/\/[^"]+)/)
}

async function startProxy (base) {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  const bin = join(FOLDER, 'node_modules', '.bin', 'prism')
  await found(start(bin, ['proxy', 'openapi.json', base, '--host', '127.0.0.1', '--port', String(port)], { env }), /(listening)/)
  return `http://127.0.0.1:${port}`
}
