/**
 * PGlite wrote zeros to 128 MiB of PostgreSQL's buffers at each start, so a later embedded start took up to 339 MiB. On Node 24, V8
 * took another 500 MiB to optimise PostgreSQL's parser.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { embeddedDataDir } from '../helpers/embedded-data.js'
import { peakMemoryOf, startServer } from '../helpers/server-process.js'
import { freshDataDir, freshKeys } from '../helpers/settings.js'

/** The bounds of docs/operations.md are for the time after the start, too: until it listens, a start takes less. */
const FIRST_MIB = 330
const LATER_MIB = 260
/** After some hundred statements, V8 would optimise the parser. */
const STATEMENTS = 600
const onLinux = { skip: process.platform === 'linux' ? false : 'needs the accounts of Linux' }

t.test('the first embedded start and a later one take little memory', onLinux, async (t) => {
  const settings = { ...freshKeys(), DATA_DIR: await freshDataDir(t) }
  for (const mostMib of [FIRST_MIB, LATER_MIB]) {
    const service = startServer(t, settings)
    await service.listening()
    const peakMib = await peakMemoryOf(service.pid)
    t.ok(peakMib < mostMib, `${peakMib.toFixed(0)} MiB, less than ${mostMib}`)
    await service.kill('SIGINT')
  }
})

t.test('the engine compiles the embedded PostgreSQL once', async (t) => {
  const program = `
    import { openEmbedded } from '${pathToFileURL(join(import.meta.dirname, '../../src/postgres/embedded/pglite.js')).href}'
    const pool = await openEmbedded(${JSON.stringify(join(await embeddedDataDir(t), 'postgres'))})
    const client = await pool.connect()
    for (let i = 0; i < ${STATEMENTS}; i++) await client.query('select count(*) from pg_class where relname > $1', [String(i)])
    client.release()
    await pool.close()`
  const { status, stdout, stderr } = spawnSync(
    process.execPath, ['--trace-wasm-compilation-times', '--input-type=module', '--eval', program],
    { encoding: 'utf8', maxBuffer: 2 ** 26 }
  )
  t.equal(status, 0, stderr)
  t.match(stdout, 'using Liftoff')
  t.strictSame(stdout.match(/^.*using (?!Liftoff).*$/mg), null)
})
