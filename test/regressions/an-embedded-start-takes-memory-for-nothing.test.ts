/** PGlite wrote zeros to 128 MiB of PostgreSQL's buffers at each start, and a later embedded start took up to 339 MiB. */
import t from 'tap'
import { startServer } from '../helpers/server-process.js'
import { freshDataDir, freshKeys } from '../helpers/settings.js'

/** The bounds of docs/operations.md are for the time after the start, too: until it listens, a start takes less. */
const FIRST_MIB = 330
const LATER_MIB = 260
const onLinux = { skip: process.platform === 'linux' ? false : 'needs the accounts of Linux' }

t.test('the first embedded start and a later one take little memory', onLinux, async (t) => {
  const settings = { ...freshKeys(), DATA_DIR: await freshDataDir(t) }
  for (const mostMib of [FIRST_MIB, LATER_MIB]) {
    const service = startServer(t, settings)
    await service.listening()
    const peakMib = await service.peakMemory()
    t.ok(peakMib < mostMib, `${peakMib.toFixed(0)} MiB, less than ${mostMib}`)
    await service.kill('SIGINT')
  }
})
