import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import { createFollower } from '../../src/client/follower.js'
import type { Http } from '../../src/client/http.js'
import { until } from '../helpers/wait.js'

const LINE = JSON.stringify({ ms: 0, age: 1, time: 1, keep: 360, full: true, more: false, cursor: 'c', ids: [], marks: [] })

/** Follows answers of these chunks, one after the other. The last one stays open. */
function following (...answers: string[][]) {
  let asked = 0
  const http = {
    open: async () => {
      const chunks = answers[asked++]
      const body = chunks === undefined ? new Readable({ read () {} }) : Readable.from(chunks)
      return Object.assign(body, { statusCode: 200 }) as unknown as IncomingMessage
    }
  } as unknown as Http
  return { follower: createFollower(http, 'key'), asked: () => asked }
}

t.test('an answer that ends within a line, or before its first one, is a fault that is told', async (t) => {
  for (const chunks of [[`${LINE}\n`, LINE.slice(0, 20)], ['<h1>Log in to this network</h1>'], []]) {
    const { follower, asked } = following(chunks)
    t.teardown(() => follower.close())
    await until('the next request', () => asked() === 2)
    t.match(follower.fault(), { message: /ended before/ }, String(chunks))
  }
})

t.test('an answer that ends after a line is none', async (t) => {
  const { follower, asked } = following([LINE, '\n'])
  t.teardown(() => follower.close())
  await until('the next request', () => asked() === 2)
  t.equal(follower.fault(), null)
  t.ok(follower.isFresh())
})
