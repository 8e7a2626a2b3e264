import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createRecurrence } from '../../src/core/recurrence.js'

const PLACES = 1_024
const tokens = (count: number) => Array.from({ length: count }, () => `header.claims.${randomBytes(32).toString('base64url')}`)

t.test('is false for a token that comes first, true when it comes again', async (t) => {
  const cameBefore = createRecurrence(PLACES)
  for (const token of tokens(100_000)) if (cameBefore(token)) t.fail(token)
  const [token] = tokens(1) as [string]
  t.equal(cameBefore(token), false)
  t.equal(cameBefore(token), true)
  t.equal(cameBefore(token), true)
})

t.test('knows most of a few tokens, and none after many others', async (t) => {
  const cameBefore = createRecurrence(PLACES)
  const count = (list: string[]) => list.filter(cameBefore).length
  const few = tokens(PLACES / 8)
  t.equal(count(few), 0)
  const again = count(few)
  t.ok(again > few.length * 0.7, `${again} of ${few.length}`)
  count(tokens(PLACES * 16))
  t.equal(count(few), 0)
})
