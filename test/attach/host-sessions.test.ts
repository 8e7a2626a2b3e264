import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { tellHost } from '../../src/attach/host-sessions.js'
import { until } from '../helpers/wait.js'

/** Node warns of a leak at the eleventh listener of one signal. */
const CALLS = 12

t.test('many failed calls that wait for their next attempt are no leak, and end with the app', async (t) => {
  const warnings: string[] = []
  const onWarning = ({ name }: Error) => { warnings.push(name) }
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  let calls = 0
  let failures = 0
  const host = tellHost(() => {
    calls++
    throw new Error('the database of the host is away')
  }, () => { failures++ })

  for (let i = 0; i < CALLS; i++) host.end(`user ${i}`, null)
  await until('the first attempts', () => failures === CALLS)
  await turn()
  t.same(warnings, [])
  host.stop()
  await turn()
  t.equal(calls, CALLS)
})
