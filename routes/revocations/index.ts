import { createHash, timingSafeEqual } from 'node:crypto'
import { PassThrough } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { Key } from '../../src/core/keys/key-ring.js'
import { Refusal } from '../../src/core/refusals.js'
import type { RevocationLog } from '../../src/sessions/published/log.js'
import { LEAVING_MS } from '../../src/timing/limits.js'
import { refused } from '../refused.js'
import type { Security } from '../schemas.js'

/** Length of an answer: shorter than the time after which a request is cut off. */
const ANSWER_MS = 8_000
/** A line comes at the latest this long after the one before, plus one tick. Together they are less than 250 ms. */
const LINE_MS = 180
const TICK_MS = 50
/** A client that does not read gets no more lines until it does, and is cut off this long after the end of its answer. */
const MOST_WAITING_BYTES = 1_048_576
const LAST_BYTES_MS = 1_000

export interface RevocationsRoutesOptions {
  log: RevocationLog
  /** False while this replica's own reading is too old. */
  isFresh: () => boolean
  /** PostgreSQL's clock, never behind it. */
  nowSeconds: () => number
  keys: readonly Key[]
  /** For how long ends are kept. */
  keepSeconds: number
  /** Gets a function that returns the number of open answers. */
  onStart (countClients: () => number): void
}

const Lines = Type.String({
  title: 'RevocationLines',
  description: 'JSON objects, one a line, as in docs/protocol.md.',
  examples: ['{"ms":0.2,"age":80.1,"time":1795424400123,"keep":360,"full":true,"more":false,"cursor":"…","ids":[],"marks":[]}\n']
})

interface Stream {
  output: PassThrough
  arrivedAtMs: number
  wroteAtMs: number
  position: number
  isFull: boolean
  /** True while lines of a long list are to come. */
  hasMore: boolean
}

/**
 * Ended sessions as a stream of JSON lines, for services that verify tokens by themselves. It is served from this replica's own
 * readings: all clients get the same texts, and PostgreSQL is not asked for any of them.
 */
const revocationsRoutes: FastifyPluginAsyncTypebox<RevocationsRoutesOptions> = async (app, options) => {
  const { log, isFresh, nowSeconds, keys, keepSeconds } = options
  const digests = keys.map(({ bytes }) => digestOf(bytes.toString('base64url')))
  const streams = new Set<Stream>()
  let ticker: NodeJS.Timeout | undefined
  let servesUntilMs = Infinity

  function end (stream: Stream): void {
    if (!streams.delete(stream)) return
    stream.output.end()
    setTimeout(() => stream.output.destroy(), LAST_BYTES_MS).unref()
    if (streams.size > 0) return
    clearInterval(ticker)
    ticker = undefined
  }

  /**
   * Writes a line with what is new to a client. Ends the answer if the list is not known to be complete. A long list has a line at
   * each call, so that many clients that ask for it at once do not hold up everything else.
   */
  function write (stream: Stream, nowMs: number): void {
    const state = isFresh() ? log.state() : null
    if (state === null || nowMs - stream.arrivedAtMs > ANSWER_MS || nowMs > servesUntilMs) return end(stream)
    const { output, arrivedAtMs, isFull } = stream
    stream.wroteAtMs = nowMs
    if (output.writableLength >= MOST_WAITING_BYTES) return
    const { ids, marks, next, hasMore } = log.read(stream.position)
    const facts = {
      ms: nowMs - arrivedAtMs, age: nowMs - state.askedAtMs, time: nowSeconds() * 1000, keep: keepSeconds, full: isFull, more: hasMore
    }
    output.write(`${JSON.stringify(facts).slice(0, -1)},"cursor":"${state.cursor}","ids":[`)
    if (ids.length > 0) output.write(ids)
    const ofAll = state.endedBefore === null ? '' : `{"before":${state.endedBefore * 1000}}`
    output.write(`],"marks":[${ofAll}${ofAll !== '' && marks.length > 0 ? ',' : ''}`)
    if (marks.length > 0) output.write(marks)
    output.write(']}\n')
    Object.assign(stream, { position: next, hasMore })
  }

  const unfollow = log.follow(() => {
    const nowMs = performance.now()
    for (const stream of streams) write(stream, nowMs)
  })

  function tick (): void {
    const nowMs = performance.now()
    for (const stream of streams) if (stream.hasMore || nowMs - stream.wroteAtMs >= LINE_MS) write(stream, nowMs)
  }

  const leave = (): void => { for (const stream of streams) end(stream) }
  // A client asks again at once, and another replica answers, or this one for as long as it answers other requests.
  app.onLeaving(() => {
    servesUntilMs = performance.now() + LEAVING_MS
    leave()
  })
  app.addHook('onClose', async () => {
    unfollow()
    leave()
  })
  options.onStart(() => streams.size)

  app.get('/', {
    exposeHeadRoute: false, // it would hold a stream that nobody reads
    config: { limit: 'none' as const },
    schema: {
      operationId: 'followRevocations',
      tags: ['Session'],
      security: [{ clientKey: [] }] as Security,
      summary: 'Follow ended sessions, for services that verify access tokens by themselves',
      description: 'A line every 250 ms for 8 s, also if nothing is new; then ask again. docs/protocol.md has the rules.',
      querystring: Type.Object({
        after: Type.Optional(Type.String({ maxLength: 255, description: '`cursor` of the last line.' }))
      }),
      produces: ['application/x-ndjson'],
      response: { 200: Lines, ...refused(['TOKEN_INVALID']) }
    },
    // A request may have waited before this. Then its client takes its knowledge for a little older than it is.
    handler: async (request, reply) => {
      const arrivedAtMs = performance.now()
      requireKey(request.headers.authorization, digests)
      if (arrivedAtMs > servesUntilMs || !isFresh() || log.state() === null) throw new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 })
      const output = new PassThrough()
      const stream: Stream = { output, arrivedAtMs, wroteAtMs: arrivedAtMs, hasMore: false, ...log.positionAfter(request.query.after) }
      streams.add(stream)
      output.once('close', () => { end(stream) })
      ticker ??= setInterval(tick, TICK_MS).unref()
      write(stream, arrivedAtMs)
      return await reply.type('application/x-ndjson').header('x-accel-buffering', 'no').send(output as never)
    }
  })
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()

/** @throws {Refusal} TOKEN_INVALID */
function requireKey (authorization: string | undefined, digests: readonly Buffer[]): void {
  const given = digestOf(/^Bearer +([A-Za-z0-9_-]+)$/i.exec(authorization ?? '')?.[1] ?? '')
  // Each key is compared, so that the time does not say which one it was.
  if (digests.filter((digest) => timingSafeEqual(digest, given)).length === 0) throw new Refusal('TOKEN_INVALID')
}

export default revocationsRoutes
