import { promisify } from 'node:util'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import t from 'tap'
import countersign, { type CountersignOptions, type Demand } from '../../plugins/countersign.js'
import { insideOf } from '../../src/attach/inside.js'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { sessionsOf, signUp } from '../helpers/person.js'
import { freshKeys } from '../helpers/settings.js'

/*
 * A hook answers through `done`. Called by hand, `await app.otpVerified(request, reply)`, it had no `done`: with an async
 * `identify` the pending promise was ignored, and the route was open without any credentials.
 */

await need('postgres')
const nowhere = { connect: async () => { throw new Error('connect ECONNREFUSED') }, totalCount: 0, idleCount: 0, waitingCount: 0 }

/** Ways to call a hook by hand. */
type Misuse = (hook: any, request: FastifyRequest, reply: FastifyReply) => unknown
const misuses: Readonly<Record<string, Misuse>> = {
  'request, reply': (hook, request, reply) => hook(request, reply),
  'request, reply, undefined': (hook, request, reply) => hook(request, reply, undefined),
  'request, undefined': (hook, request) => hook(request, undefined),
  'request, reply, reply': (hook, request, reply) => hook(request, reply, reply),
  request: (hook, request) => hook(request),
  nothing: (hook) => hook(),
  'an object that has a request for a prototype': (hook, request) => hook(Object.create(request)),
  'raw, raw': (hook, request, reply) => hook(request.raw, reply.raw),
  apply: (hook, request, reply) => Reflect.apply(hook, request.server, [request, reply]),
  'promisified, without the reply': (hook, request) => promisify(hook)(request)
}

type Hook = (...given: any[]) => any
/** Async functions around a hook. */
const wrappers: Readonly<Record<string, (hook: Hook) => Hook>> = {
  returned: (hook) => async (...given) => hook(...given),
  awaited: (hook) => async (...given) => { await hook(...given) },
  applied: (hook) => async function (this: unknown, ...given) { return Reflect.apply(hook, this, given) },
  bound: (hook) => async (...given) => hook.bind(null)(...given),
  tried: (hook) => async (...given) => { try { return await hook(...given) } finally { given.length = 0 } },
  chained: (hook) => async (...given) => Promise.resolve().then(() => hook(...given)),
  raced: (hook) => (...given) => Promise.all([hook(...given)])
}

async function hostWith (
  identify: CountersignOptions['identify'], decorators: object = {}, database: unknown = { ...nowhere }
): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(countersign, {
    issuer: 'Acme',
    sealKeys: freshKeys()['SEAL_KEYS']!,
    database: database as never,
    identify,
    label: (userId) => userId,
    complete: (_request, _reply, { sessionId }) => ({ sessionId, answer: {} }),
    decorators
  })
  return app
}

t.test('T9 called without `done`, every hook throws before anything runs, with and without `await`', async (t) => {
  let asked = 0
  let entered = 0
  for (const names of [
    { otpVerified: 'otpVerified', countersign: 'countersign' }, { otpVerified: 'staffVerified', countersign: 'staff' }
  ]) {
    const app = await hostWith(async () => { asked++; return null }, names)
    const shown = app as unknown as Record<string, any>
    const hooks = [
      shown[names.otpVerified], shown[names.otpVerified]({ required: true }), shown[names.otpVerified]({ maxAge: 1 }),
      shown[names.countersign].session
    ]
    const routes = hooks.flatMap((hook, i) => Object.entries(misuses).flatMap(([called, misuse], m) => {
      const open = async () => { entered++; return {} }
      const awaited = async (request: FastifyRequest, reply: FastifyReply) => { await misuse(hook, request, reply) }
      const callback = (request: FastifyRequest, reply: FastifyReply, done: () => void) => { void misuse(hook, request, reply); done() }
      app.get(`/handler/${i}/${m}`, async (request, reply) => { await misuse(hook, request, reply); return await open() })
      return [`/handler/${i}/${m}`, ...(['onRequest', 'preValidation', 'preHandler'] as const).flatMap((phase) => {
        const forms = { awaited, list: [async () => {}, awaited], ...(called.startsWith('promisified') ? {} : { callback }) }
        return Object.entries(forms).map(([form, given]) => {
          app.get(`/${form}/${phase}/${i}/${m}`, { [phase]: given } as object, open)
          return `/${form}/${phase}/${i}/${m}`
        })
      })]
    }))
    const passed: string[] = []
    for (const route of routes) if ((await app.inject(route)).statusCode !== 500) passed.push(route)
    t.same(passed, [], names.countersign)
    t.ok(routes.length > 300, 'so that the line above shows something')
    for (const hook of hooks) {
      t.throws(() => hook({ headers: {} }, {}), {
        name: 'TypeError', message: new RegExp(`await app\\.${names.countersign}\\.check\\(request, demand\\)`)
      })
    }
  }
  t.equal(asked, 0, 'no user was identified')
  t.equal(entered, 0, 'no request was let in')
})

t.test('T9 as hooks of another kind they refuse, and in a list, wrapped, or from a library that passes `done` they work', async (t) => {
  const app = await hostWith(async () => null)
  for (const hook of ['preParsing', 'preSerialization', 'onSend'] as const) {
    app.get(`/${hook}`, { [hook]: app.otpVerified } as object, async () => ({ secret: 1 }))
  }
  const guarded = {
    list: [app.otpVerified, app.otpVerified({ required: true })],
    wrapped: (request: FastifyRequest, reply: FastifyReply, done: () => void) =>
      Reflect.apply(app.otpVerified, app, [request, reply, done]),
    promisified: async (request: FastifyRequest, reply: FastifyReply) => {
      await promisify(app.otpVerified as any as (first: unknown, second: unknown, done: () => void) => void)(request, reply)
    },
    // As @fastify/auth calls its functions.
    library: (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => {
      Reflect.apply(app.otpVerified, app, [request, reply, (error?: Error) => done(error)])
    }
  }
  for (const [name, preHandler] of Object.entries(guarded)) {
    app.get(`/${name}`, { preHandler } as object, async () => ({}))
  }
  for (const hook of ['preParsing', 'preSerialization', 'onSend']) t.equal((await app.inject(`/${hook}`)).statusCode, 500, hook)
  for (const name of Object.keys(guarded)) t.equal(outcome(await app.inject(`/${name}`)), '401 TOKEN_INVALID', name)
  for (const hook of [app.otpVerified, app.otpVerified({}), app.countersign.session]) {
    t.equal(hook.length, 3, 'wrappers of hooks read their number of parameters')
  }
})

t.test('T9 an async function that hands `done` on and waits for the hook lets no stranger in, and the owner once', async (t) => {
  for (const isAsync of [true, false]) {
    const identify: CountersignOptions['identify'] = () => isAsync ? Promise.resolve(null) : null
    const app = await hostWith(identify)
    let entered = 0
    const open = async () => { entered++; return {} }
    const hooks = {
      plain: app.otpVerified, required: app.otpVerified({ required: true }), session: app.countersign.session
    } as unknown as Record<string, Hook>
    const routes = Object.entries(hooks).flatMap(([name, hook]) => Object.entries(wrappers).flatMap(([form, wrap]) =>
      (['onRequest', 'preValidation', 'preHandler'] as const).map((phase) => {
        const route = `/${name}/${form}/${phase}`
        app.get(route, { [phase]: wrap(hook) } as object, open)
        return route
      })))
    for (const route of routes) {
      t.equal(outcome(await app.inject(route)), '401 TOKEN_INVALID', `${route}, ${isAsync ? 'async' : 'sync'} identify`)
    }
    t.equal(entered, 0)
  }

  const { url } = await freshDatabase(t)
  await countersign.migrate(url)
  const app = await hostWith(async () => ({ userId: 'ada', sessionId: 'first', authTime: 1 }), {}, url)
  let entries = 0
  for (const [form, wrap] of Object.entries(wrappers)) {
    app.get(`/${form}`, { preHandler: wrap(app.otpVerified as unknown as Hook) } as object, async () => ({ entry: ++entries }))
  }
  for (const form of Object.keys(wrappers)) {
    for (const times of ['first', 'second']) t.equal((await app.inject(`/${form}`)).statusCode, 200, `${form}, ${times} time`)
  }
  t.equal(entries, Object.keys(wrappers).length * 2, 'each request reached its handler once')
})

t.test('check: the guard as a promise, which checks again each time and sets no headers', async (t) => {
  const { app, clock, anotherHost } = await freshHost(t)
  const requests: FastifyRequest[] = []
  const host = await anotherHost({
    identify: ({ headers }) =>
      headers['user'] === undefined ? null : { userId: String(headers['user']), sessionId: String(headers['session']), authTime: 1 }
  })
  await host.inject('/app/inside')
  const ada = await (await signUp(app, 'ada')).enrol()
  const [unverified] = await sessionsOf(ada, 1)
  const { sub, sid } = ada.claims() as Record<string, string>
  const request = (user: string | undefined, session: string) => {
    const made = { headers: { ...(user === undefined ? {} : { user }), session }, ip: '192.0.2.1', raw: {} } as unknown as FastifyRequest
    requests.push(made)
    return made
  }
  t.match(await host.countersign.check(request(sub, sid!)), { userId: sub, sessionId: sid })
  t.match(await host.countersign.check(request(sub, sid!), { required: true, maxAge: 300 }), { userId: sub })
  const refused: ReadonlyArray<readonly [FastifyRequest, Demand, string]> = [
    [request(undefined, sid!), {}, 'TOKEN_INVALID'],
    [request(sub, String(unverified!.claims()['sid'])), {}, 'OTP_REQUIRED'],
    [request('nobody', 'other'), { required: true }, 'OTP_REQUIRED'],
    [request('nobody', 'other'), { maxAge: 300 }, 'OTP_STALE']
  ]
  for (const [made, demand, code] of refused) await t.rejects(host.countersign.check(made, demand), { name: 'Refusal', code }, code)
  const fifty = await Promise.allSettled(
    Array.from({ length: 50 }, (_, i) => host.countersign.check(request(sub, i % 2 === 0 ? sid! : 'never seen')))
  )
  t.same(fifty.map(({ status }) => status), Array.from({ length: 50 }, (_, i) => i % 2 === 0 ? 'fulfilled' : 'rejected'))

  const wrong: unknown[] = [{ maxage: 1 }, { require: true }, undefined, null, 300, [], request(sub, sid!)]
  for (const demand of wrong) await t.rejects(host.countersign.check(request(sub, sid!), demand as Demand), TypeError)
  for (const made of [undefined, null, {}, { required: true }, 'request', { headers: {} }]) {
    await t.rejects(host.countersign.check(made as never), TypeError)
  }
  for (const nothing of [undefined, null, '', 0]) {
    const broken = await anotherHost({ identify: () => Promise.reject(nothing) })
    await t.rejects(broken.countersign.check(request(sub, sid!)), { code: 'TOKEN_INVALID' })
  }

  const kept = request(sub, sid!)
  await host.countersign.check(kept)
  await clock.advance(3600)
  await t.rejects(host.countersign.check(kept, { maxAge: 300 }), { code: 'OTP_STALE' })
  await app.countersign.reset(sub!, { actorId: 'support', reason: 'lost' })
  await insideOf(host).sessions.poll()
  await t.rejects(host.countersign.check(kept), { code: 'SESSION_ENDED' }, 'a connection that stays open is checked again')
})

t.test('check in a handler: the refusal is answered as a hook answers it', async (t) => {
  const app = await hostWith(() => null)
  app.get('/checked', async (request) => await app.countersign.check(request))
  app.get('/hooked', { preHandler: app.otpVerified }, async () => ({}))
  const [checked, hooked] = [await app.inject('/checked'), await app.inject('/hooked')]
  t.equal(outcome(checked), '401 TOKEN_INVALID')
  t.same(checked.json(), hooked.json())
})
