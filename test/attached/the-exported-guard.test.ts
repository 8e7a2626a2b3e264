import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t from 'tap'
import countersign, { otpVerified, type CountersignOptions, type Demand } from '../../plugins/countersign.js'
import { outcome } from '../helpers/answers.js'
import { fromHeaders } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'
import { plainHost } from '../helpers/plain-host.js'
import { freshKeys } from '../helpers/settings.js'

/*
 * `{ preHandler: app.otpVerified }` is an open route where the plugin is not there yet: before the registration, without `await` on it,
 * in a sibling scope. The exported guard finds the plugin at the request, and refuses where there is none.
 */

await need('postgres')

const guarded = (app: FastifyInstance, prefix = '') => {
  app.get(`${prefix}/plain`, { preHandler: otpVerified() }, async () => ({}))
  app.get(`${prefix}/bare`, { preHandler: otpVerified }, async () => ({}))
  app.get(`${prefix}/early`, { onRequest: otpVerified({}) }, async () => ({}))
  app.get(`${prefix}/required`, { preHandler: [otpVerified({ required: true })] }, async () => ({}))
  app.get(`${prefix}/fresh`, { preHandler: otpVerified({ maxAge: 60 }) }, async () => ({}))
}
const paths = ['plain', 'bare', 'early', 'required', 'fresh']

t.test('it guards a route of before the registration, and one of a scope within', async (t) => {
  const host = await plainHost(t, {
    before (app) { guarded(app) },
    after (app) { app.register(async (scope) => { guarded(scope, '/within') }) }
  })
  const { verified } = await host.enrol('ada')
  for (const path of [...paths, ...paths.map((path) => `within/${path}`)]) {
    t.equal(outcome(await host.app.inject(`/${path}`)), '401 TOKEN_INVALID', path)
    t.equal(outcome(await host.ask({ user: 'ada', session: 'other' }, 'GET', `/${path}`)), '403 OTP_REQUIRED', path)
    t.equal(outcome(await host.ask(verified, 'GET', `/${path}`)), '200', path)
  }
  t.equal(outcome(await host.ask({ user: 'bob', session: 'one' }, 'GET', '/plain')), '200')
  t.equal(outcome(await host.ask({ user: 'bob', session: 'one' }, 'GET', '/required')), '403 OTP_REQUIRED')
})

const options = (database: string): CountersignOptions => ({
  ...fromHeaders, issuer: 'Acme', sealKeys: freshKeys()['SEAL_KEYS']!, database
})

async function opened (build: (app: FastifyInstance) => unknown, settings: FastifyServerOptions = {}) {
  const app = Fastify(settings) as FastifyInstance
  t.teardown(() => app.close())
  await build(app)
  await app.ready()
  return app
}

t.test('it guards where nobody awaited the registration', async (t) => {
  const { db } = await plainHost(t)
  const app = await opened((app) => {
    void app.register(countersign, options(db.url!))
    guarded(app)
  })
  for (const path of paths) t.equal(outcome(await app.inject(`/${path}`)), '401 TOKEN_INVALID', path)
})

t.test('in a sibling scope, and without the plugin, a route is answered 500 and never runs', async (t) => {
  const { db } = await plainHost(t)
  let runs = 0
  const counting = (app: FastifyInstance) => { app.addHook('preHandler', async () => { runs++ }) }
  const sibling = await opened(async (app) => {
    await app.register(async (scope) => { await scope.register(countersign, options(db.url!)) })
    await app.register(async (scope) => { guarded(scope) })
  })
  const without = await opened((app) => { guarded(app) })
  for (const app of [sibling, without]) {
    for (const path of paths) {
      const answer = await app.inject({ url: `/${path}`, headers: { user: 'ada', session: 'one' } })
      t.equal(outcome(answer), '500 INTERNAL_ERROR', path)
      t.equal(answer.headers['x-refusal'], 'INTERNAL_ERROR')
    }
  }
  const bare = await opened((app) => {
    app.get('/x', { preHandler: otpVerified() }, async () => { runs++ })
    counting(app)
  })
  await bare.inject('/x')
  t.equal(runs, 1, 'the hook of the app, not the handler')
})

t.test('a second registration is asked by the name of its guard', async (t) => {
  const decorators = { otpVerified: 'staffVerified', countersign: 'staffCountersign' }
  const host = await plainHost(t, {
    before (app) {
      app.get('/customers', { preHandler: otpVerified() }, async () => ({}))
      app.get('/staff', { preHandler: otpVerified({ required: true }, 'staffVerified') }, async () => ({}))
    },
    options: { decorators, prefix: '/staff/2fa' }
  })
  t.equal(outcome(await host.ask({ user: 'ada', session: 'one' }, 'GET', '/staff')), '403 OTP_REQUIRED')
  t.equal(outcome(await host.ask({ user: 'ada', session: 'one' }, 'GET', '/customers')), '500 INTERNAL_ERROR')
})

t.test('misuse is refused where the route is defined, or at the call', async (t) => {
  const wrong: unknown[] = [undefined, null, { maxage: 1 }, { maxAge: Number('x') }, { required: 'no' }, 300, []]
  for (const demand of wrong) t.throws(() => otpVerified(demand as Demand), TypeError, String(demand))
  t.throws(() => otpVerified({}, 7 as never), TypeError)
  const request = { raw: {}, headers: {}, server: {} } as never
  t.throws(() => otpVerified(request), TypeError, 'a request alone is no demand')
  t.throws(() => (otpVerified as unknown as (...given: unknown[]) => unknown)(request, {}), TypeError, 'without done')
  t.throws(() => (otpVerified() as unknown as (...given: unknown[]) => unknown)(request, {}), TypeError, 'without done')
})
