/**
 * Runs the steps of deploy/Dockerfile without a container engine: each stage is a folder, and Node is that of the machine.
 * The last stage runs as the user that the Dockerfile names, which cannot write its files: it migrates, serves, and is asked for
 * its health. Needs root.
 *
 *   node scripts/try-dockerfile.js
 */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runToItsEnd } from './run-to-its-end.js'

const START_MS = 120_000
const root = mkdtempSync(join(tmpdir(), 'countersign-image-'))
// The user of the last stage must be able to reach it.
chmodSync(root, 0o755)
const context = join(root, 'context')
const stages = new Map()
let stage

/** Tracked files are the context: .dockerignore leaves out what git ignores. */
function copyContext () {
  const files = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' }).split('\0').filter(Boolean)
  for (const file of files) cpSync(file, join(context, file))
}

/** Returns a path of the image as a path of this machine. */
const inStage = (path, { folder, workdir }) => path.startsWith('/') ? join(folder, path) : join(folder, workdir, path)

const steps = {
  FROM (text) {
    const name = / AS (\w+)$/i.exec(text)?.[1] ?? 'last'
    stage = { folder: join(root, name), workdir: '/', env: {}, user: undefined }
    mkdirSync(stage.folder)
    stages.set(name, stage)
  },
  WORKDIR (text) {
    stage.workdir = text
    mkdirSync(join(stage.folder, text), { recursive: true })
  },
  COPY (text) {
    const from = /^--from=(\w+) /.exec(text)?.[1]
    const names = text.replace(/^--\S+ /, '').split(' ')
    const to = inStage(names.at(-1), stage)
    for (const name of names.slice(0, -1)) {
      const source = from === undefined ? join(context, name) : inStage(name, stages.get(from))
      const isFile = statSync(source).isFile()
      if (isFile) mkdirSync(to, { recursive: true })
      cpSync(source, isFile ? join(to, name.split('/').at(-1)) : to, { recursive: true, verbatimSymlinks: true })
    }
  },
  RUN (text) {
    // Folders beside the working folder are of the image.
    const command = text.replaceAll(/(?<= )\/\w+/g, (path) => join(stage.folder, path))
    const startedAtMs = performance.now()
    runToItsEnd('sh', ['-euc', command], { cwd: join(stage.folder, stage.workdir), stdio: ['ignore', 'inherit', 'inherit'] })
    console.log(`${((performance.now() - startedAtMs) / 1000).toFixed(0)} s`)
  },
  ENV (text) {
    for (const [, name, value] of text.matchAll(/(\w+)=(\S+)/g)) stage.env[name] = value.startsWith('/') ? join(stage.folder, value) : value
  },
  USER (text) { stage.user = text.split(':').map(Number) },
  EXPOSE () {},
  HEALTHCHECK (text) { stage.health = JSON.parse(text.slice(text.indexOf('['))) },
  CMD (text) { stage.command = JSON.parse(text) }
}

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return String(port)
}

async function start ({ folder, workdir, env, user, command: [, ...args], health: [, ...check] }) {
  const [uid, gid] = user
  const options = { cwd: join(folder, workdir), env: { PATH: process.env.PATH, ...env, PORT: await freePort() }, uid, gid }
  // The init container of deploy/kubernetes/countersign.yaml.
  execFileSync(process.execPath, ['build/src/bin.js', 'migrate', 'up'], { ...options, stdio: ['ignore', 'inherit', 'inherit'] })
  const service = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'inherit', 'inherit'] })
  const ended = new Promise((resolve) => service.once('exit', resolve))
  try {
    for (const deadline = performance.now() + START_MS; ;) {
      const status = await new Promise((resolve) => spawn(process.execPath, check, options).once('exit', resolve))
      if (status === 0) break
      if (service.exitCode !== null || performance.now() > deadline) throw new Error('The service is not healthy')
      await delay(500)
    }
    console.log(`healthy, as user ${uid}`)
  } finally {
    service.kill('SIGTERM')
  }
  if (await ended !== 0) throw new Error('The service did not end with 0')
}

try {
  copyContext()
  for (const line of readFileSync(join('deploy', 'Dockerfile'), 'utf8').split('\n')) {
    const [, name, text] = /^([A-Z]+) (.*)$/.exec(line) ?? []
    if (name === undefined) continue
    console.log(line)
    if (!(name in steps)) throw new Error(`An instruction that this script does not know: ${name}`)
    steps[name](text)
  }
  const last = stages.get('last')
  const [megabytes] = execFileSync('du', ['-sm', last.folder], { encoding: 'utf8' }).split('\t')
  console.log(`${megabytes} MB besides Node`)
  await start(last)
} finally {
  rmSync(root, { recursive: true, force: true })
}
