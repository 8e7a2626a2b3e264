/** The promise of `countersign/testing`: a host can test itself without a database, a phone or a wait. */
import t from 'tap'
import { hostFolder } from './host.js'

t.setTimeout(600_000)

t.test("a host's own test passes", async (t) => {
  const { run } = await hostFolder('testing')
  const { code, stdout } = await run(process.execPath, ['--test', '--test-reporter=tap', 'second-factor.test.js'])
  t.match(stdout, /^# pass 1$/m, stdout)
  t.equal(code, 0)
})
