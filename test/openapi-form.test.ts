import { readFile } from 'node:fs/promises'
import t from 'tap'
import { refusals, type RefusalCode } from '../src/core/refusals.js'
import { freshApp } from './helpers/app.js'
import { documentOf, inlineObjects, operationsOf, validatorOf, type Schema } from './helpers/operations.js'
import { expect, signUp } from './helpers/person.js'

const { app } = await freshApp(t)
const operations = operationsOf(app)
const document = documentOf(app)
const { schemas, responses, examples } = document.components
const codes = Object.keys(refusals) as RefusalCode[]

t.test('the document is small enough to read and to load', async (t) => {
  t.ok((await readFile('openapi.json')).length <= 160_000)
  t.ok(Buffer.byteLength(JSON.stringify(document)) <= 120_000)
})

t.test('each object has a name, and each reference leads to something', async (t) => {
  t.same(inlineObjects(document.paths), [])
  for (const [ref] of JSON.stringify(document).matchAll(/#\/components\/[A-Za-z0-9_/]+/g)) {
    const target = ref.slice(2).split('/').reduce<unknown>((of, name) => (of as Record<string, unknown> | undefined)?.[name], document)
    t.ok(target, ref)
  }
})

t.test('each refusal has a schema with its status, its code and its details, and an example', async (t) => {
  const union = schemas['Refusal'] as Schema & { oneOf: Schema[], discriminator: { mapping: Record<string, string> } }
  t.same(Object.keys(union.discriminator.mapping), codes)
  for (const [code, ref] of Object.entries(union.discriminator.mapping)) {
    const schema = schemas[ref.split('/').at(-1)!] as Schema & { required: string[], properties: Record<string, { enum?: unknown[] }> }
    t.same(schema.properties['code']!.enum, [code])
    t.same(schema.properties['statusCode']!.enum, [refusals[code as RefusalCode][0]])
    const example = examples[code]!.value
    t.ok(validatorOf(document, { $ref: ref })(example), `${code}: its example passes`)
    t.ok(validatorOf(document, { $ref: '#/components/schemas/Refusal' })(example), `${code} is one of the union`)
  }
  const required = (name: string) => (schemas[name] as unknown as { required: string[] }).required
  for (const name of ['RateLimited', 'OtpLocked', 'Unavailable', 'Busy']) t.ok(required(name).includes('retryAfterSeconds'), name)
  t.ok(required('OtpStale').includes('maxAgeSeconds'))
})

t.test('refusals are shared: an operation names its own, and has the common ones in `default`', async (t) => {
  const { paths } = document
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, { responses: own }] of Object.entries(item)) {
      for (const [status, response] of Object.entries(own)) {
        if (status.startsWith('2') || (path === '/readyz' && status === '503')) continue
        t.match(response.$ref, /^#\/components\/responses\//, `${method} ${path} ${status}`)
      }
      t.equal(own['default']?.$ref, '#/components/responses/AnyOperation')
    }
  }
  const shared = Object.keys(responses['AnyOperation']!.content!['application/json']!.examples!)
  t.ok(['METHOD_NOT_ALLOWED', 'HEADERS_TOO_LARGE', 'INTERNAL_ERROR', 'UNAVAILABLE', 'RATE_LIMITED'].every((code) => shared.includes(code)))
  const used = new Set(Object.values(responses).flatMap(({ content }) => Object.keys(content!['application/json']!.examples!)))
  // PASSKEY_INVALID has no operation yet.
  t.same(codes.filter((code) => !used.has(code) && code !== 'PASSKEY_INVALID'), [], 'each code is in a response')
})

t.test('an AAGUID has no format: many are no UUID of RFC 9562, which zod and others refuse as uuid()', async (t) => {
  const found = Object.values(schemas).flatMap((schema) => (schema as { properties?: Record<string, object> }).properties?.['aaguid'] ?? [])
  t.ok(found.length > 0)
  for (const aaguid of found) t.strictSame({ ...aaguid, description: '' }, { type: 'string', description: '' })
})

t.test('the document names the public address, and a page that exists', async (t) => {
  const { app: published } = await freshApp(t, { PUBLIC_URL: 'https://auth.example.org' })
  const { servers, externalDocs } = published.swagger() as unknown as { servers: object[], externalDocs: { url: string } }
  t.same(servers, [{ url: 'https://auth.example.org' }])
  t.equal(externalDocs.url, 'https://auth.example.org/docs')
  t.equal((await published.inject('/docs')).statusCode, 200)
})

t.test('the page at /docs works behind a path of a proxy that removes it', async (t) => {
  const { app: behind } = await freshApp(t, { PUBLIC_URL: 'https://api.example.org/auth' })
  t.match((await behind.inject('/docs')).body, 'src="/auth/docs/static/swagger-ui-bundle.js"')
  t.match((await behind.inject('/docs/')).body, 'src="./static/swagger-ui-bundle.js"')
  t.equal((await behind.inject('/docs/static/swagger-ui-bundle.js')).statusCode, 200)
})

t.test('a document that the client has is answered 304, without it', async (t) => {
  const first = await app.inject('/openapi.json')
  const etag = String(first.headers.etag)
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
    const again = await app.inject({ url: '/openapi.json', headers: { 'if-none-match': known } })
    t.match(again, { statusCode: 304, body: '', headers: { etag } }, known)
  }
  t.equal((await app.inject({ url: '/openapi.json', headers: { 'if-none-match': '"other"' } })).statusCode, 200)
})

t.test('a pattern means the same with and without the flag `u`', async (t) => {
  const found = Object.entries(schemas).flatMap(([name, schema]) => patternsIn(schema, name))
  t.ok(found.length >= 10)
  const texts = [
    '',
    'ada', 'correct horse battery staple', 'Zoë 😀', '😀😀', 'a\0b', 'a\nb', 'a\x85b', '\ud800', 'a\udc00', '\ud83d😀',
    'a@b.example', 'a b@c', '@', 'https://a.example/?q=😀', 'https://a b', '0F8FAD5B-d9cb-469f-a165-70867728950e', 'abc_-'
  ]
  for (const [place, pattern] of found) {
    for (const text of texts) {
      t.equal(new RegExp(pattern).test(text), new RegExp(pattern, 'u').test(text), `${place}: ${JSON.stringify(text)}`)
    }
  }
  for (const { id, body, object } of operations) {
    if (body === undefined) continue
    const { $ref } = object.requestBody!.content!['application/json']!.schema!
    for (const [place, pattern, field] of patternsIn(inlined($ref!), id)) {
      const example = body[field]
      if (typeof example === 'string') t.match(example, new RegExp(pattern), `${place}: the example passes without the flag`)
    }
  }
})

t.test('a body is required where `{}` is refused', async (t) => {
  for (const { id, object } of operations) {
    if (object.requestBody === undefined) continue
    const isTaken = validatorOf(document, object.requestBody.content!['application/json']!.schema!)({})
    t.equal(object.requestBody.required, !isTaken, id)
  }
  t.equal(operations.find(({ id }) => id === 'createTotp')!.object.requestBody!.required, false)
})

t.test('ids of a path are read in either case, numbers of a query as decimal digits alone', async (t) => {
  const ada = await signUp(app, 'form')
  expect(200, await ada.login())
  const other = ada.elsewhere()
  expect(200, await other.login())
  const id = String(other.claims()['sid'])
  t.equal((await ada.request('DELETE', `/account/sessions/${id.toUpperCase()}`)).statusCode, 204)
  t.equal((await other.request('GET', '/totp/status')).statusCode, 401)
  const asked = async (query: string) => (await ada.request('GET', `/account/security-events?${query}`)).statusCode
  for (const query of ['limit=1', 'limit=100']) t.equal(await asked(query), 200, query)
  for (const query of ['limit=0', 'limit=101', 'limit=05', 'limit=1e1', 'limit=', 'limit=-1', 'limit=1&limit=2', 'limit=1.5']) {
    t.equal(await asked(query), 400, query)
  }
})

t.test('each operation names a verb, and each one that needs no token says so', async (t) => {
  const verbs = [
    'follow',
    'challenge', 'confirm', 'add', 'change', 'check', 'create', 'deactivate', 'delete', 'demote', 'end', 'find', 'get', 'list', 'log',
    'promote', 'reactivate', 'refresh', 'remove', 'rename', 'request', 'reset', 'resume', 'roll', 'sign', 'undo', 'unlock', 'use', 'verify'
  ]
  for (const { id, object } of operations) {
    t.ok(verbs.includes(/^[a-z]+/.exec(id)![0]), id)
    const isOpen = object.security === undefined || object.security.length === 0
    t.ok(isOpen || id === 'followRevocations', `${id}: the document's, or none; services have keys`)
  }
  t.same(document.security, [{ bearer: [] }])
})

/** Returns `[place, pattern, name of the property]` of each pattern in a schema. */
function patternsIn (schema: unknown, place: string, field = ''): Array<[string, string, string]> {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([key, value]) => key === 'pattern' && typeof value === 'string'
    ? [[place, value, field] as [string, string, string]]
    : patternsIn(value, `${place}.${key}`, key))
}

/** Returns a schema with its references filled in. */
function inlined (ref: string): unknown {
  const text = JSON.stringify(schemas[ref.split('/').at(-1)!])
  return JSON.parse(text.replace(/\{"\$ref":"#\/components\/schemas\/(\w+)"\}/g, (_ref, name: string) => JSON.stringify(schemas[name])))
}
