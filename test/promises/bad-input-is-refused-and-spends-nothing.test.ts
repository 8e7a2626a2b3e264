import { gzipSync } from 'node:zlib'
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { faultsOfRefusal } from '../helpers/error-shape.js'
import { follow, operationsOf, type Operation, type Schema } from '../helpers/operations.js'
import { expect } from '../helpers/person.js'
import { staffAt } from '../helpers/staff.js'

const { app, db } = await freshApp(t)
const withBody = operationsOf(app).filter(({ body }) => body !== undefined)
/** A user of staff, so that every operation reads the body. */
const owner = await staffAt({ app, db }, 'owner')
/** Session without a verified second factor: it reaches operations that need only a session. */
const unverified = owner.elsewhere()
expect(200, await unverified.login())

type Send = { payload: string | Buffer, headers?: Record<string, string> }
const JSON_TYPE = { 'content-type': 'application/json' }

async function send ({ method, url }: Operation, { payload, headers = JSON_TYPE }: Send, access = owner.access) {
  return await app.inject({ method, url, payload, headers: { ...headers, authorization: `Bearer ${access}` } })
}

/** Returns everything that a request could consume: counters, budgets, sessions, codes, events. */
async function spent (): Promise<string> {
  return JSON.stringify([
    await db.query('select * from otp_user order by 1'),
    await db.query('select name_digest, network, spent from password_budget order by 1, 2'),
    await db.query('select id, failures, generation, ended_at from otp_session order by 1'),
    await db.query('select id, failures, last_step from otp_device join otp_totp on device_id = id order by 1'),
    await db.query('select count(*) from otp_event'),
    await db.query('select count(*) from account')
  ])
}

t.test('E4 only JSON of the documented kind passes; nothing is coerced, and nothing is consumed', async (t) => {
  const before = await spent()
  for (const operation of withBody) {
    for (const [what, status, attack] of attacks(operation)) {
      for (const { access } of [owner, unverified]) {
        const answer = await send(operation, attack, access)
        // A session without its code is refused before its body is read.
        if (access === unverified.access && answer.statusCode === 403) continue
        t.equal(answer.statusCode, status, `${operation.id}: ${what}: ${answer.body}`)
        t.same(faultsOfRefusal(answer), [], `${operation.id}: ${what}`)
      }
    }
  }
  t.equal(await spent(), before)
})

t.test('E4 operations without a body in the document refuse a malformed one', async (t) => {
  const before = await spent()
  for (const operation of operationsOf(app).filter(({ method, body, isGuarded }) => isGuarded && method !== 'GET' && body === undefined)) {
    for (const [status, attack] of [
      [400, { payload: '{' }],
      [400, { payload: Buffer.from([0xff, 0xfe, 0x7b, 0x00]) }],
      [413, { payload: JSON.stringify('x'.repeat(17 * 1024)) }],
      [415, { payload: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } }]
    ] as Array<[number, Send]>) {
      const answer = await send(operation, attack)
      t.equal(answer.statusCode, status, `${operation.id}: ${answer.body}`)
      t.same(faultsOfRefusal(answer), [])
    }
  }
  t.equal(await spent(), before)
})

t.test('E4 NUL and half surrogate pairs: refused, or hashed whole; never a 500, never stored as something else', async (t) => {
  const before = (await db.query<{ count: unknown }>('select count(*) from account'))[0]!.count
  for (const bad of ['a\0b', '\0', 'a\ud800b', '\udc00', '\ud83d']) {
    for (const operation of withBody) {
      for (const field of Object.keys(operation.body!)) {
        const payload = JSON.stringify({
          ...operation.body, ...(operation.id === 'signUp' ? { username: `u${Math.abs(hash(bad + field))}` } : {}), [field]: bad
        })
        const answer = await send(operation, { payload })
        t.ok(
          answer.statusCode >= 400 && answer.statusCode < 500,
          `${operation.id}.${field} ${JSON.stringify(bad)}: ${answer.statusCode} ${answer.body}`
        )
        t.same(faultsOfRefusal(answer), [], `${operation.id}.${field}`)
      }
    }
  }
  for (const field of ['firstName', 'lastName', 'phone', 'email']) {
    for (const bad of ['a\0@b', 'a\ud800@b', 'a\n@b']) {
      const answer = await owner.request(
        'POST', '/users', { username: 'nul', email: 'a@b.c', password: 'correct horse battery', [field]: bad }, null
      )
      t.equal(answer.statusCode, 400, `${field}: ${answer.body}`)
    }
  }
  t.equal((await db.query<{ count: unknown }>('select count(*) from account'))[0]!.count, before, 'no account was made')
})

t.test('P1 any character counts in a password, NUL too', async (t) => {
  const password = 'correct\0horse\0battery'
  expect(201, await owner.request('POST', '/users', { username: 'nullish', email: 'n@example.org', password }, null))
  const log = async (password: string) => (await owner.request('POST', '/token', { username: 'nullish', password }, null)).statusCode
  t.equal(await log(password), 200)
  t.equal(await log('correct'), 401, 'nothing was cut off at the NUL')
  t.equal(await log('correct\0horse\0batterx'), 401)
})

t.test('E4 a code is a string of digits, of any script; nothing else that reads as a number is accepted', async (t) => {
  const code = await owner.nextCode()
  const others = [Number(code), [code], { token: code }, `+${code}`, `${code}.0`, `0${code}`, `${code}e0`, `0x${code}`, `${code}\0`]
  for (const token of others) {
    const answer = await owner.request('POST', '/totp/login', { token } as object)
    t.equal(answer.statusCode, 400, JSON.stringify(token))
  }
  expect(200, await owner.verify(Array.from(code, (digit) => String.fromCodePoint(0x660 + Number(digit))).join('')))
  t.pass('the code itself was not used up by any of them')
})

function attacks ({ body, object, id, document }: Operation): Array<[what: string, status: number, attack: Send]> {
  const schema = follow(document, object.requestBody!.content!['application/json']!.schema!)
  const properties = Object.entries(schema['properties'] as Record<string, Schema>)
    .map(([field, one]) => [field, follow(document, one) as { type?: string, maxLength?: number }] as const)
  const text = JSON.stringify(body)
  const of = (value: unknown): Send => ({ payload: JSON.stringify(value) })
  const raw = (payload: string | Buffer): Send => ({ payload })
  const as = (type: string, payload: string | Buffer = text): Send => ({ payload, headers: { 'content-type': type } })
  const wrongKinds = properties.filter(([, { type }]) => type === 'string').flatMap(([field, { maxLength }]) => [
    ...[492039, 0, [], ['492039'], null, {}, { toString: 'x' }, true, false].map(
      (value) => [`${field}: ${JSON.stringify(value)}`, 400, of({ ...body, [field]: value })] as [string, number, Send]
    ),
    ...(maxLength === undefined
      ? []
      : [[`${field} too long`, 400, of({ ...body, [field]: 'x'.repeat(maxLength + 1) })] as [string, number, Send]])
  ])
  const required = schema['required'] as string[] | undefined
  return [
    ...wrongKinds,
    ...(required ?? []).map((field) => [`without ${field}`, 400, of({ ...body, [field]: undefined })] as [string, number, Send]),
    ['an unknown field', 400, of({ ...body, isStaff: true })],
    ['__proto__', 400, raw(text.replace('{', '{"__proto__":{"isStaff":true},'))],
    ['an escaped __proto__', 400, raw(text.replace('{', '{"\\u005f_proto__":{"isStaff":true},'))],
    ['constructor', 400, raw(text.replace('{', '{"constructor":{"prototype":{}},'))],
    ['a number', 400, raw('1')], ['a string', 400, raw('"x"')], ['null', 400, raw('null')], ['true', 400, raw('true')],
    ['an array', 400, raw(`[${text}]`)], ['an empty array', 400, raw('[]')],
    ['17 KiB', 413, of({ ...body, [Object.keys(body!)[0]!]: 'x'.repeat(17 * 1024) })],
    ['17 KiB of space', 413, raw(' '.repeat(17 * 1024) + text)],
    ['cut short', 400, raw(text.slice(0, -1))],
    ['two of them', 400, raw(text + text)],
    ['a byte order mark', 400, raw('\ufeff' + text)],
    ['invalid UTF-8', 400, raw(Buffer.concat([Buffer.from(text.slice(0, -2)), Buffer.from([0xc3, 0x28, 0x22, 0x7d])]))],
    ['an overlong NUL', 400, raw(Buffer.concat([Buffer.from(text.slice(0, -2)), Buffer.from([0xc0, 0x80, 0x22, 0x7d])]))],
    ['UTF-16', 400, raw(Buffer.from(text, 'utf16le'))],
    ['declared UTF-16', 400, { payload: Buffer.from(text, 'utf16le'), headers: { 'content-type': 'application/json; charset=utf-16le' } }],
    ['a bare NUL', 400, raw('\0')],
    ['deep arrays', 400, raw('['.repeat(8000) + ']'.repeat(8000))],
    ['deep objects', 400, raw('{"a":'.repeat(2700) + '1' + '}'.repeat(2700))],
    ['NaN', 400, raw('{"token":NaN}')],
    ['a comment', 400, raw(`/* */${text}`)],
    ['a form', 415, as('application/x-www-form-urlencoded', 'token=1&password=x')],
    ['text', 415, as('text/plain')],
    ['multipart', 415, as('multipart/form-data; boundary=x', '--x\r\ncontent-disposition: form-data; name="token"\r\n\r\n1\r\n--x--')],
    ['no type', 415, { payload: text, headers: {} }],
    ['a nonsense type', 415, as('application/json/x')],
    ['two types', 415, as('text/plain, application/json')],
    ['a relative of JSON', 415, as('application/vnd.api+json')],
    ['gzip', 415, { payload: gzipSync(text), headers: { ...JSON_TYPE, 'content-encoding': 'gzip' } }],
    ['gzip that is none', 415, { payload: text, headers: { ...JSON_TYPE, 'content-encoding': 'gzip' } }],
    // Two of them require no field.
    ...(['createTotp', 'createPasskey', 'reactivateUser'].includes(id) ? [] : [['nothing', 400, raw('')] as [string, number, Send]])
  ]
}

function hash (text: string): number {
  return Array.from(text).reduce((sum, symbol) => (sum * 31 + symbol.codePointAt(0)!) | 0, 7)
}
