import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import files, { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ConfigError } from '../../../src/core/config-error.js'
import { DataDirInUseError, takeLock, type Lock } from '../../../src/postgres/embedded/lock.js'
import { temporaryFolder } from '../../helpers/temporary-folder.js'

type Child = ChildProcessByStdio<Writable, Readable, null>
type Place = { cwd?: string, env?: NodeJS.ProcessEnv }

const holder = fileURLToPath(new URL('./holder.js', import.meta.url))

async function freshFolder (t: Test, name = ''): Promise<string> {
  const root = await temporaryFolder(t)
  await mkdir(join(root, name), { recursive: true })
  return join(root, name)
}

/** Starts node through `env` without NODE_OPTIONS, because the options of the test runner would cost each child a second. */
function start (t: Test, folder: string, place: Place = {}): Child {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, holder, folder], { stdio: ['pipe', 'pipe', 'inherit'], ...place })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

/** Returns the line of the child: `held`, or the name of the error. */
async function outcome (child: Child): Promise<string> {
  const [line] = await once(createInterface(child.stdout), 'line')
  return line
}

async function kill (child: Child): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** Tries `count` times at once within this process. */
async function race (folder: string, count: number): Promise<{ won: Lock[], errors: unknown[] }> {
  const tries = await Promise.allSettled(Array.from({ length: count }, () => takeLock(folder)))
  return {
    won: tries.flatMap((result) => result.status === 'fulfilled' ? [result.value] : []),
    errors: tries.flatMap((result) => result.status === 'rejected' ? [result.reason] : [])
  }
}

t.test('O10 a second process is refused, with one line that names the setting and not the path', async (t) => {
  const folder = await freshFolder(t)
  t.equal(await outcome(start(t, folder)), 'held')
  t.equal(await outcome(start(t, folder)), 'DataDirInUseError')
  const error: Error = await takeLock(folder).then(() => t.fail('taken twice'), (error) => error)
  t.type(error, DataDirInUseError)
  t.match(error.message, /^DATA_DIR is in use by another process[^\n]*$/)
  t.notMatch(error.message, folder)
})

t.test('O10 after kill -9 the next start succeeds at once, time after time', async (t) => {
  const folder = await freshFolder(t)
  for (let round = 0; round < 3; round++) {
    const child = start(t, folder)
    t.equal(await outcome(child), 'held')
    await kill(child)
    const began = performance.now()
    const lock = await takeLock(folder)
    t.ok(performance.now() - began < 1000, 'nothing was waited for')
    await lock.release()
  }
  t.ok((await readdir(join(folder, 'lock'))).length <= 2, 'what dead processes leave behind does not pile up')
})

t.test('O10 a process stopped by SIGSTOP still holds', async (t) => {
  const folder = await freshFolder(t)
  const child = start(t, folder)
  await outcome(child)
  child.kill('SIGSTOP')
  t.equal((await race(folder, 5)).won.length, 0)
})

t.test('O10 ten processes at once: one wins, also over the remains of a killed one', async (t) => {
  const folder = await freshFolder(t)
  for (let round = 0; round < 2; round++) {
    const children = Array.from({ length: 10 }, () => start(t, folder))
    const outcomes = await Promise.all(children.map(outcome))
    t.strictSame(outcomes.toSorted(), [...Array<string>(9).fill('DataDirInUseError'), 'held'])
    await kill(children[outcomes.indexOf('held')] as Child)
  }
})

t.test('O10 killed at any moment of its start, a process keeps nobody out', async (t) => {
  const folder = await freshFolder(t)
  for (let round = 0; round < 8; round++) {
    const children = Array.from({ length: 2 }, () => start(t, folder))
    const first = Promise.race(children.map(outcome))
    if (round % 2) await first
    await Promise.all(children.map(kill))
    const lock = await takeLock(folder)
    await lock.release()
  }
  t.equal((await race(folder, 1)).won.length, 1)
})

t.test('O10 thirty tries within one process, again and again: never two winners', async (t) => {
  const folder = await freshFolder(t)
  for (let round = 0; round < 20; round++) {
    const { won, errors } = await race(folder, 30)
    t.equal(won.length, 1)
    t.ok(errors.every((error) => error instanceof DataDirInUseError))
    await won[0]?.release()
  }
})

t.test('O10 holders that come and go under constant tries never overlap', async (t) => {
  const folder = await freshFolder(t)
  let holding = 0
  let most = 0
  let held = 0
  const visitor = async () => {
    for (let visit = 0; visit < 40; visit++) {
      const lock = await takeLock(folder).catch((error) => { if (!(error instanceof DataDirInUseError)) throw error })
      if (!lock) continue
      most = Math.max(most, ++holding)
      held++
      await readdir(folder)   // gives other processes time to try
      holding--
      await lock.release()
    }
  }
  await Promise.all(Array.from({ length: 8 }, visitor))
  t.equal(most, 1)
  t.ok(held > 10, `held ${held} times`)
})

/** Runs `meanwhile` between the next listing of a folder and the moment its reader gets it. */
function afterNextListing (t: Test, meanwhile: () => Promise<void>): void {
  const restore = () => {
    files.readdir = readdirOfNode
    syncBuiltinESMExports()
  }
  const readdirOfNode = files.readdir
  t.teardown(restore)
  files.readdir = (async (path: string) => {
    restore()
    const names = await readdirOfNode(path)
    await meanwhile()
    return names
  }) as typeof files.readdir
  syncBuiltinESMExports()
}

t.test('O10 a process that acts on an old list does not join the holder', async (t) => {
  const folder = await freshFolder(t)
  await (await takeLock(folder)).release()
  let later: Lock | undefined
  afterNextListing(t, async () => {
    await (await takeLock(folder)).release()
    later = await takeLock(folder)   // claim 3; claim 2, which the late process is about to make, is free again
  })
  await t.rejects(takeLock(folder), DataDirInUseError)
  t.ok(later, 'others came and went meanwhile')
  t.strictSame((await readdir(join(folder, 'lock'))).filter((name) => /^[0-9]/.test(name)), ['3'])
  await later?.release()
})

t.test('release lets the next one in, and may be called twice', async (t) => {
  const folder = await freshFolder(t)
  const child = start(t, folder)
  await outcome(child)
  child.stdin.end()
  await once(child, 'exit')
  const lock = await takeLock(folder)
  await lock.release()
  await lock.release()
  await (await takeLock(folder)).release()
})

t.test('the holder answers nothing, and hangs up', async (t) => {
  const folder = await freshFolder(t)
  const lock = await takeLock(folder)
  t.teardown(() => lock.release())
  const socket = connect(join(folder, 'lock', '1'))
  const heard: Buffer[] = []
  socket.on('data', (chunk) => heard.push(chunk)).on('error', () => {})
  await once(socket, 'close')
  t.equal(heard.length, 0)
})

t.test('a path too long for a socket: still one lock, whatever the working and temporary folders', async (t) => {
  const folder = await freshFolder(t, join('x'.repeat(120), 'é'.repeat(60)))
  const other = await freshFolder(t)
  t.equal(await outcome(start(t, folder)), 'held')
  t.equal(await outcome(start(t, '.', { cwd: folder })), 'DataDirInUseError')
  const near = start(t, folder, { cwd: '/', env: { ...process.env, TMPDIR: other } })
  t.equal(await outcome(near), 'DataDirInUseError')
  t.strictSame(await readdir(other), [], 'nothing stays in the temporary folder')
})

t.test('a path too long is taken over after kill -9, and released', async (t) => {
  const folder = await freshFolder(t, 'x'.repeat(150))
  const child = start(t, folder)
  t.equal(await outcome(child), 'held')
  await kill(child)
  const lock = await takeLock(folder)
  t.equal((await race(folder, 3)).won.length, 0)
  await lock.release()
  t.equal((await race(folder, 3)).won.length, 1)
})

t.test('one folder under two names is one lock', async (t) => {
  const folder = await freshFolder(t)
  const alias = join(await freshFolder(t), 'alias')
  await symlink(folder, alias)
  const lock = await takeLock(alias)
  t.teardown(() => lock.release())
  await t.rejects(takeLock(folder), DataDirInUseError)
})

t.test('a copy of a folder in use is free', async (t) => {
  const [folder, copy] = [await freshFolder(t), await freshFolder(t)]
  const lock = await takeLock(folder)
  t.teardown(() => lock.release())
  await mkdir(join(copy, 'lock'))
  await symlink('s000000000000', join(copy, 'lock', '1'))   // as in a restored backup: the link without its socket
  await writeFile(join(copy, 'lock', '2'), '')               // as in a copy that follows links
  await (await takeLock(copy)).release()
  t.strictSame((await readdir(join(copy, 'lock'))), ['3'])
})

t.test('no folder, no lock: one line that names the setting and not the path', async (t) => {
  const folder = await freshFolder(t)
  await writeFile(join(folder, 'file'), '')
  for (const path of [join(folder, 'absent'), join(folder, 'file')]) {
    const error: Error = await takeLock(path).then(() => t.fail('taken'), (error) => error)
    t.type(error, ConfigError)
    t.match(error.message, /^DATA_DIR must [^\n]*\(E[A-Z]+\)\.$/)
    t.notMatch(error.message, folder)
  }
})
