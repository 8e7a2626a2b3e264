import Fastify from 'fastify'
import t from 'tap'
import countersign, { type CountersignOptions } from '../../plugins/countersign.js'
import type { Demand } from '../../src/core/assurance.js'
import { createGuards } from '../../src/attach/guard.js'
import { outcome } from '../helpers/answers.js'
import { freshKeys } from '../helpers/settings.js'

/*
 * Fastify treats a falsy error as success. A host whose `identify` throws `undefined` or rejects with it (`reject()`) had
 * every guarded route open to all. An invalid demand, such as `maxAge: Number(undefined)` or a misspelt name, was ignored: the
 * guard was the plain one, without a warning.
 */

/** Never called: no request gets that far. */
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

/** [behaviour of `identify`, `identify`] */
const nobody: ReadonlyArray<readonly [string, unknown]> = [
  ['null', () => null],
  ['undefined', () => undefined],
  ['a promise of undefined', async () => undefined],
  ...[undefined, null, '', 0, false].flatMap((nothing) => [
    [`rejects with ${JSON.stringify(nothing)}`, () => Promise.reject(nothing)] as const,
    [`throws ${JSON.stringify(nothing)}`, () => { throw nothing }] as const
  ])
]

t.test('T9 a host that names no user has identified no user', async (t) => {
  for (const [does, identify] of nobody) {
    const app = await hostWith(identify)
    for (const [method, url] of [
      ['GET', '/plain'], ['GET', '/strict'], ['GET', '/totp/status'], ['POST', '/totp/create'], ['DELETE', '/totp/delete']
    ] as const) {
      t.equal(outcome(await app.inject({ method, url })), '401 TOKEN_INVALID', `${does}: ${method} ${url}`)
    }
  }
})

t.test('T9 an invalid demand is refused where it is made, and never taken for the plain guard', (t) => {
  const { otpVerified } = createGuards({
    identify: () => null, factor: {} as never, slot: 'countersign', originOf: () => ({ ip: '', agent: '' })
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
