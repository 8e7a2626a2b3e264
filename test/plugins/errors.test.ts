import Fastify from 'fastify'
import t from 'tap'
import { asRefusal, errorBody } from '../../routes/error-body.js'
import errors from '../../plugins/errors.js'
import methodNotAllowed from '../../plugins/method-not-allowed.js'
import { refusalTexts } from '../../src/core/messages/index.js'
import { Refusal, refusals, type RefusalCode } from '../../src/core/refusals.js'
import { describeError } from '../../src/log.js'

const codes = Object.keys(refusals) as RefusalCode[]

t.test('E1 every code of the table becomes its status, its body and its headers', async (t) => {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'error', stream: { write: (line: string) => { lines.push(line) } } } })
  await app.register(errors)
  app.get('/:code', async (request) => {
    const { code } = request.params as { code: RefusalCode }
    throw new Refusal(code, { retryAfterSeconds: 7 }, { cause: new Error('inside') })
  })
  for (const code of codes) {
    const [status] = refusals[code]
    const answer = await app.inject(`/${code}`)
    t.equal(answer.statusCode, status)
    t.match(answer.json(), { statusCode: status, code, error: String, message: String })
    t.notMatch(answer.body, /inside/)
    t.equal(lines.length, status >= 500 ? 1 : 0, 'the log has the 5xx, and they alone')
    if (status >= 500) t.match(lines.pop(), /inside/)
    if (status === 429 || status === 503) t.equal(answer.headers['retry-after'], '7')
    if (status === 401) t.match(answer.headers['www-authenticate'], /^Bearer/)
  }
  t.equal((await app.inject('/a/b')).json().code, 'NOT_FOUND')
  await app.close()
})

t.test('the sentence of a code, and a hint with its values, are in the language of the client', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(errors)
  app.get('/code', async () => { throw new Refusal('OTP_INVALID') })
  const hint = { key: 'mustBe', values: { subject: { key: 'query' }, values: ['on', { key: 'wholeNumber' }] } } as const
  app.get('/hint', async () => { throw new Refusal('REQUEST_INVALID', { hint }) })
  const messageIn = async (url: string, language?: string) =>
    (await app.inject({ url, headers: language === undefined ? {} : { 'accept-language': language } })).json().message
  t.equal(await messageIn('/code'), refusals.OTP_INVALID[1])
  t.equal(await messageIn('/code', 'de-AT, en;q=0.5'), refusalTexts.de.OTP_INVALID)
  t.equal(await messageIn('/code', 'ja'), refusalTexts.ja.OTP_INVALID)
  t.equal(await messageIn('/code', 'nl, *;q=0'), refusals.OTP_INVALID[1])
  t.equal(await messageIn('/hint'), 'The query must be on or a whole number.')
  t.equal(await messageIn('/hint', 'de'), 'Die Abfrage: erlaubt ist on oder eine ganze Zahl.')
})

t.test('E1 whatever is thrown is a refusal, and a bug says nothing of itself', async (t) => {
  const fastify = (code: string, statusCode: number) => Object.assign(new Error('FST inner text'), { code, statusCode })
  const table: Array<readonly [unknown, RefusalCode]> = [
    [new Error('select * from account'), 'INTERNAL_ERROR'],
    [new TypeError('x is undefined'), 'INTERNAL_ERROR'],
    [Object.assign(new Error('teapot'), { statusCode: 418 }), 'REQUEST_INVALID'],
    [Object.assign(new Error('bad gateway'), { statusCode: 502 }), 'INTERNAL_ERROR'],
    [fastify('FST_ERR_CTP_BODY_TOO_LARGE', 413), 'BODY_TOO_LARGE'],
    [fastify('FST_ERR_CTP_INVALID_MEDIA_TYPE', 415), 'MEDIA_TYPE_UNSUPPORTED'],
    [fastify('FST_ERR_CTP_EMPTY_JSON_BODY', 400), 'REQUEST_INVALID'],
    [fastify('FST_ERR_NEW_ONE', 400), 'REQUEST_INVALID'],
    ['a string', 'INTERNAL_ERROR'], [null, 'INTERNAL_ERROR'], [undefined, 'INTERNAL_ERROR'], [42, 'INTERNAL_ERROR']
  ]
  for (const [thrown, code] of table) {
    const refusal = asRefusal(thrown)
    t.equal(refusal.code, code)
    t.equal(errorBody(refusal.code, refusal.details).message, refusals[code][1], 'the table\'s own sentence')
  }
  const refusal = new Refusal('OTP_INVALID')
  t.equal(asRefusal(refusal), refusal)
})

t.test('E3 an error in the log has its place and its words, and nothing that a driver hung on it', async (t) => {
  const cause = Object.assign(new Error('violates'), {
    code: '23514', detail: 'Failing row contains ($argon2id$…)', params: ['hunter2'], query: 'insert'
  })
  const logged = describeError(new Error('outer', { cause }))
  t.match(logged, { type: 'Error', message: 'outer', stack: /errors\.test/, cause: { code: '23514', message: 'violates' } })
  t.notMatch(JSON.stringify(logged), /argon2id|hunter2|insert/)
  for (const thrown of ['text', null, undefined, 1]) t.match(describeError(thrown), { message: String(thrown) })
})

t.test('E1 405 with Allow for what is there under another method; HEAD stays 404', async (t) => {
  const app = Fastify({ routerOptions: { ignoreTrailingSlash: true } })
  await app.register(errors)
  await app.register(methodNotAllowed)
  app.get('/read', async () => 'x')
  app.route({ method: ['POST', 'DELETE'], url: '/things/:id', handler: async () => 'x' })
  app.all('/any/*', async () => 'x')
  app.refuseOtherMethods()
  await app.ready()
  const table = [
    ['POST', '/read', 405, 'GET, HEAD'], ['PUT', '/read/', 405, 'GET, HEAD'], ['DELETE', '/re%61d', 405, 'GET, HEAD'],
    ['GET', '/things/1', 405, 'DELETE, POST'], ['PATCH', '/things/1', 405, 'DELETE, POST'], ['HEAD', '/things/1', 404, undefined],
    ['POST', '/nothing', 404, undefined], ['PATCH', '/any/thing', 200, undefined], ['GET', '/read', 200, undefined],
    ['HEAD', '/read', 200, undefined]
  ] as const
  for (const [method, url, status, allow] of table) {
    const answer = await app.inject({ method, url })
    t.equal(answer.statusCode, status, `${method} ${url}`)
    t.equal(answer.headers.allow, allow)
  }
  await app.close()
})
