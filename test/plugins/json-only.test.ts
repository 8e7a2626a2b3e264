import cookieless from 'fastify'
import t from 'tap'
import jsonOnly from '../../plugins/json-only.js'
import schemas from '../../plugins/schemas.js'

/** Host with the opposite settings: it coerces, drops unknown fields, and accepts forms and text. */
const host = cookieless({ ajv: { customOptions: { coerceTypes: 'array', removeAdditional: 'all', useDefaults: true } } })
host.addContentTypeParser(
  'application/x-www-form-urlencoded', { parseAs: 'string' },
  (_request, body, done) => { done(null, Object.fromEntries(new URLSearchParams(String(body)))) }
)
const body = {
  type: 'object',
  required: ['token'],
  additionalProperties: false,
  properties: { token: { type: 'string', pattern: '^[0-9]{6}$' }, note: { type: 'string', default: 'x' } }
}
const echo = { schema: { body }, handler: async ({ body }: { body: unknown }) => ({ got: body }) }
host.post('/theirs', echo)
await host.register(async (scope) => {
  await scope.register(schemas)
  await scope.register(jsonOnly)
  scope.post('/ours', echo)
  scope.post('/nobody', { handler: async ({ body }) => ({ got: body }) })
})
t.teardown(() => host.close())

const send = async (url: string, payload: string | Buffer, type = 'application/json') =>
  await host.inject({ method: 'POST', url, payload, headers: { 'content-type': type } })

t.test('E4 in a host that coerces, our routes do not; the host\'s stay as lax as they were', async (t) => {
  for (const lax of ['{"token":123456}', '{"token":["123456"]}', '{"token":"123456","x":1}']) {
    t.equal((await send('/theirs', lax)).statusCode, 200, lax)
    t.equal((await send('/ours', lax)).statusCode, 400, lax)
  }
  t.equal((await send('/theirs', 'token=123456', 'application/x-www-form-urlencoded')).statusCode, 200)
  t.equal((await send('/ours', 'token=123456', 'application/x-www-form-urlencoded')).statusCode, 415)
  t.equal((await send('/theirs', 'x', 'text/plain')).statusCode, 400)
  t.equal((await send('/ours', 'x', 'text/plain')).statusCode, 415)
  t.same((await send('/ours', '{"token":"123456"}')).json(), { got: { token: '123456' } }, 'no defaults put in')
})

t.test('E4 JSON in UTF-8, and nothing else', async (t) => {
  for (const type of ['application/json', 'application/json; charset=utf-8', 'APPLICATION/JSON']) {
    t.equal((await send('/ours', '{"token":"123456"}', type)).statusCode, 200, type)
  }
  for (const bytes of [
    '\ufeff{"token":"123456"}', '{"token":"123456"', '{"__proto__":{},"token":"123456"}',
    '{"constructor":{"prototype":{}},"token":"123456"}', Buffer.from('{"token":"123456"}', 'utf16le'),
    Buffer.from([0x22, 0xff, 0x22])
  ]) {
    const answer = await send('/nobody', bytes)
    t.equal(answer.statusCode, 400, String(bytes))
    t.equal(answer.json().code, 'REQUEST_INVALID')
  }
  t.equal((await host.inject({
    method: 'POST', url: '/nobody', payload: '{}', headers: { 'content-type': 'application/json', 'content-encoding': 'br' }
  })).statusCode, 415)
})

t.test('no body reads as {}: clients send the header without one', async (t) => {
  t.same((await send('/nobody', '')).json(), { got: {} })
  t.same((await host.inject({ method: 'POST', url: '/nobody' })).json(), { got: {} })
  t.equal((await send('/ours', '')).statusCode, 400)
})

t.test('E4 a POST without a body that a page of another origin can send by itself is refused', async (t) => {
  const post = async (headers: Record<string, string>) =>
    (await host.inject({ method: 'POST', url: '/nobody', headers: { host: 'api.example', ...headers } })).statusCode
  for (const headers of [
    { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.example' },
    { 'sec-fetch-site': 'same-site', origin: 'https://blog.example' },
    { origin: 'https://elsewhere.example' },
    { origin: 'null' }
  ]) {
    t.equal(await post(headers), 415, JSON.stringify(headers))
    t.equal(await post({ ...headers, 'content-type': 'application/json' }), 200, 'a browser asks before it sends that')
    t.equal(await post({ ...headers, authorization: 'Bearer x' }), 200, 'and that')
  }
  for (const headers of [
    {}, { 'sec-fetch-site': 'same-origin', origin: 'https://api.example' }, { 'sec-fetch-site': 'none' },
    { origin: 'https://api.example' }
  ]) t.equal(await post(headers), 200, JSON.stringify(headers))
})

t.test('what is wrong is said in the request\'s own words, never with its values', async (t) => {
  const answer = await send('/ours', '{"token":"hunter2"}')
  t.match(answer.json().message, /token/)
  t.notMatch(answer.body, /hunter2/)
  const unknown = await send('/ours', `{"token":"123456","${'x'.repeat(200)}":1}`)
  t.ok(unknown.json().message.length < 120, 'nor at any length')
})
