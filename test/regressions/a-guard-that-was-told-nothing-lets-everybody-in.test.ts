import Fastify from 'fastify'
import t from 'tap'
import countersign, { type CountersignOptions } from '../../plugins/countersign.js'
import type { Demand } from '../../src/core/assurance.js'
import { createGuards } from '../../src/attach/guard.js'
import { outcome } from '../helpers/answers.js'
import { freshKeys } from '../helpers/settings.js'

/*
 * Fastify reads `done(undefined)`, and an error that is nothing, as "go on". A host whose `identify` rejects with nothing,
 * as `reject()` does, or throws it, had every guarded route open to everybody. And a demand that is none, as
 * `maxAge: Number(undefined)` or a misspelt name, was no demand: the guard was the plain one without a word.
 */

/** Never asked: nobody gets as far as that. */
const nowhere = { connect: async () => { throw new Error('connect ECONNREFUSED') }, totalCount: 0, idleCount: 0, waitingCount: 0 } as never

async function hostWith (identify: unknown) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(countersign, {
    issuer: 'Acme',
    sealKeys: freshKeys()['SEAL_KEYS']!,
    database: { ...nowhere as object } as never,
    identify: identify as CountersignOptions['identify'],
    label: (userId) => userId,
    complete: (_request, _reply, { sessionId }) => ({ sessionId, answer: {} })
  })
  app.get('/plain', { preHandler: app.otpVerified }, async () => ({}))
  app.get('/strict', { onRequest: app.otpVerified({ required: true, maxAge: 300 }) }, async () => ({}))
  return app
}

/** [what the host does, what it means] */
const nobody: ReadonlyArray<readonly [string, unknown]> = [
  ['null', () => null],
  ['undefined', () => undefined],
  ['a promise of undefined', async () => undefined],
  ...[undefined, null, '', 0, false].flatMap((nothing) => [
    [`rejects with ${JSON.stringify(nothing)}`, () => Promise.reject(nothing)] as const,
    [`throws ${JSON.stringify(nothing)}`, () => { throw nothing }] as const
  ])
]

t.test('T9 a host that says nothing of who asks has said that it is nobody', async (t) => {
  for (const [does, identify] of nobody) {
    const app = await hostWith(identify)
    for (const [method, url] of [
      ['GET', '/plain'], ['GET', '/strict'], ['GET', '/totp/status'], ['POST', '/totp/create'], ['DELETE', '/totp/delete']
    ] as const) {
      t.equal(outcome(await app.inject({ method, url })), '401 TOKEN_INVALID', `${does}: ${method} ${url}`)
    }
  }
})

t.test('T9 what is no demand is refused where it is made, and never taken for the plain guard', (t) => {
  const { otpVerified } = createGuards({
    identify: () => null, settings: {} as never, sessions: {} as never, slot: 'countersign', originOf: () => ({ ip: '', agent: '' })
  })
  const wrong: unknown[] = [
    { maxAge: NaN }, { maxAge: undefined }, { maxAge: -1 }, { maxAge: Infinity }, { maxAge: '300' }, { maxAge: null },
    { required: 'no' }, { required: undefined }, { maxage: 300 }, { require: true }, null, undefined, 300, []
  ]
  for (const demand of wrong) {
    t.throws(() => otpVerified(demand as Demand), { name: 'TypeError', message: /^countersign: otpVerified\(\) / }, JSON.stringify(demand))
  }
  for (const demand of [{}, { maxAge: 0 }, { maxAge: 0.5 }, { required: false }, { required: true, maxAge: 300 }]) {
    t.type(otpVerified(demand), 'function')
  }
  t.end()
})
