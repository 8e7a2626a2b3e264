import { Writable } from 'node:stream'
import t from 'tap'
import { createIo } from '../../src/commands/io.js'

t.test('a reader that is slow leaves no listeners behind', async (t) => {
  const stdout = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => { setImmediate(done) } })
  const io = createIo(false, { stdin: process.stdin, stdout: stdout as unknown as NodeJS.WriteStream, stderr: process.stderr })
  const events = ['close', 'drain', 'error']
  const count = () => events.map((event) => stdout.listenerCount(event))
  const before = count()
  for (let i = 0; i < 20; i++) await io.write('a line of a long export\n')
  t.same(count(), before)
})
