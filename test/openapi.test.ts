import { readFile } from 'node:fs/promises'
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import type { LightMyRequestResponse } from 'fastify'
import { freshApp } from './helpers/app.js'
import { openapiText, withoutAddress } from './helpers/openapi-text.js'
import { documentOf, exampleOf, follow, operationsOf, undocumented, validatorOf } from './helpers/operations.js'
import { expect, signUp, type Person } from './helpers/person.js'

const { app, clock } = await freshApp(t)
const operations = operationsOf(app)
const document = documentOf(app)
const refusalOf = (code: string) => document.components.examples[code]?.value

t.test('openapi.json is what the app serves: `npm run docs` writes it anew', async (t) => {
  t.equal(await readFile('openapi.json', 'utf8'), openapiText(app))
  const served = await app.inject('/openapi.json')
  t.equal(served.statusCode, 200)
  t.same(withoutAddress(served.json()), JSON.parse(openapiText(app)))
})

t.test('it is valid OpenAPI 3.1', async (t) => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(JSON.parse(openapiText(app)))
  t.ok(valid, JSON.stringify(errors))
  t.equal(validator.version, '3.1')
})

t.test('each operation says what it is, and shows it', async (t) => {
  t.equal(new Set(operations.map(({ id }) => id)).size, operations.length, 'operationIds are unique')
  for (const operation of operations) {
    const { id, method, path, object, body } = operation
    t.match(id, /^[a-z][A-Za-z]+$/, `${method} ${path} has an operationId`)
    t.ok(object.summary, `${id} has a summary`)
    t.equal(object.tags?.length, 1, `${id} has a tag`)
    if (object.requestBody !== undefined) {
      const schema = object.requestBody.content!['application/json']!.schema!
      t.ok(body, `${id} has an example of its body`)
      t.ok(validatorOf(document, schema)(body), `${id}: its example passes`)
      t.equal(follow(document, schema)['additionalProperties'], false, `${id} refuses unknown fields`)
    }
    for (const [status, { description, content }] of Object.entries(object.responses)) {
      t.ok(description, `${id} ${status} is described`)
      const json = content?.['application/json']
      if (json === undefined) continue
      const shown = json.examples === undefined ? [exampleOf(document, json.schema)] : Object.keys(json.examples).map(refusalOf)
      for (const example of shown) {
        t.not(example, undefined, `${id} ${status} has an example`)
        t.equal(undocumented(operation, { statusCode: Number(status), body: JSON.stringify(example) }), null)
      }
    }
  }
})

t.test('whatever is not in the document is known and harmless', async (t) => {
  /** Hidden on purpose: the pages, the document, and the paths below the guard's endpoint, which check the same as the endpoint. */
  const hidden =
    /^\/docs(\/.*)?$|^\/(verify-email|reset-password|undo-email-change|mail-page\.(js|css))$|^\/openapi\.json$|^\/session(\/\*)?$/
  const isPage = (url: string) => ['/', '/me', '/staff', '/assets/:name'].includes(url)
  const documented = new Set(operations.map(({ method, path }) => `${method} ${path.replace(/\{([^}]+)\}/g, ':$1')}`))
  const routes = routesOf(app.printRoutes({ commonPrefix: false }))
  t.ok(routes.includes('POST /token/refresh') && routes.includes('GET /session/*'), 'the tree is read')
  t.same([...documented].filter((route) => !routes.includes(route)), [], 'the document describes nothing that is not there')
  for (const route of routes) {
    const [method = '', url = ''] = route.split(' ')
    if (documented.has(route) || hidden.test(url) || isPage(url)) continue
    const isTwin = method === 'HEAD' && documented.has(`GET ${url}`)
    if (isTwin) continue
    const { statusCode } = await app.inject({ method: method as 'GET', url: url.replaceAll(':', '') })
    t.equal(statusCode, 405, `${route} is not in the document`)
  }
})

t.test('every answer is one that the document knows', async (t) => {
  const seen = new Set<string>()
  const check = (id: string, answer: LightMyRequestResponse) => {
    seen.add(`${id} ${answer.statusCode}`)
    t.equal(undocumented(operations.find((operation) => operation.id === id)!, answer), null, `${id} ${answer.statusCode}`)
    return answer
  }
  const asked = async (person: Person, id: string, body?: object) => {
    const { method, url } = operations.find((operation) => operation.id === id)!
    return check(id, await person.request(method, url, body))
  }

  const ada = await signUp(app, 'doc')
  check('signUp', await ada.request('POST', '/users', { username: 'DOC', email: 'd@example.org', password: ada.password }, null))
  check('signUp', await ada.request('POST', '/users', { username: 'doc2', email: 'd@example.org', password: 'password' }, null))
  check('signUp', await ada.request('POST', '/users', { username: 'doc3', email: 'd@example.org', password: ada.password }, null))
  check('logIn', await ada.login('wrong'))
  check('logIn', await ada.login())
  for (const id of [
    'getTotpStatus', 'rollBackTotp', 'deleteTotp', 'createRecoveryCodes', 'createRecoveryCodesByGet', 'getAccount', 'checkSession'
  ]) await asked(ada, id)
  await asked(ada, 'verifyTotp', { token: '000000' })
  await asked(ada, 'useRecoveryCode', { token: 'nothing' })
  await asked(ada, 'createTotpByGet')
  await asked(ada, 'createTotp', { name: 'Phone', password: 'wrong' })
  expect(201, check('createTotp', await ada.create()))
  await asked(ada, 'rollBackTotp')
  expect(201, await ada.create())
  check('verifyTotp', await ada.verify(await ada.wrongCode()))
  expect(200, check('verifyTotp', await ada.verify()))
  await asked(ada, 'rollBackTotp')

  const other = ada.elsewhere()
  expect(200, check('logIn', await other.login()))
  const guarded = operations.filter(({ isGuarded, id }) => isGuarded && !['logOut', 'verifyTotp', 'useRecoveryCode'].includes(id))
  for (const { id, body } of guarded) await asked(other, id, body)
  for (const token of ['900001', '900002', '900003', '900004', '900005', '900006', '900007']) await asked(other, 'verifyTotp', { token })
  check('useRecoveryCode', await other.recover(ada.recoveryCodes.shift()))
  check('refreshTokens', await other.refreshTokens())
  check('refreshTokens', await other.refreshTokens('no token'))
  await asked(ada, 'createRecoveryCodes')
  await asked(ada, 'createTotp', { name: 'Second' })
  await clock.advance(301)
  check('refreshTokens', await ada.refreshTokens())
  for (const id of ['createTotp', 'createRecoveryCodes', 'deleteTotp']) await asked(ada, id, id === 'createTotp' ? {} : undefined)
  await asked(ada, 'checkSession')
  expect(200, check('verifyTotp', await ada.verify()))
  expect(200, check('deleteTotp', await asked(ada, 'deleteTotp')))
  expect(200, await ada.login())
  check('logOut', await ada.request('POST', '/token/revoke'))
  check('refreshTokens', await ada.refreshTokens())

  for (const { id, method, url, object } of operations) {
    check(id, await app.inject({ method, url }))
    check(id, await app.inject({ method, url, headers: { authorization: `Bearer ${ada.access}` } }))
    if (method === 'GET') continue
    const headers = { authorization: `Bearer ${other.access}` }
    check(id, await app.inject({ method, url, headers: { ...headers, 'content-type': 'text/plain' }, payload: 'x' }))
    check(id, await app.inject({ method, url, headers: { ...headers, 'content-type': 'application/json' }, payload: '{' }))
    check(id, await app.inject({
      method, url, headers: { ...headers, 'content-type': 'application/json' }, payload: JSON.stringify('x'.repeat(17_000))
    }))
    for (const code of ['BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED', 'REQUEST_TIMEOUT']) {
      t.ok(object.responses['default']!.content!['application/json']!.examples![code], `${id}: ${code}`)
    }
  }
  for (const wanted of [
    'logIn 200', 'signUp 201', 'signUp 400', 'signUp 409', 'createTotp 201', 'createTotp 401', 'createTotp 403', 'verifyTotp 200',
    'verifyTotp 400', 'verifyTotp 429', 'useRecoveryCode 200', 'useRecoveryCode 400', 'refreshTokens 200', 'refreshTokens 401',
    'rollBackTotp 200', 'rollBackTotp 400', 'rollBackTotp 409', 'createRecoveryCodes 201', 'createRecoveryCodes 403',
    'deleteTotp 200', 'deleteTotp 400', 'deleteTotp 403', 'checkSession 200', 'checkSession 403', 'getAccount 200',
    'getAccount 403', 'logOut 204'
  ]) {
    t.ok(seen.has(wanted), `${wanted} was seen`)
  }
  t.ok(operations.every(({ id }) => [...seen].some((one) => one.startsWith(`${id} `))), 'every operation was asked')
})

/** Returns `METHOD /path` of each line of Fastify's route tree. */
function routesOf (drawing: string): string[] {
  const above: string[] = []
  return drawing.split('\n').flatMap((line) => {
    const [, indent, segment = '', methods] = /^([│├└─ ]*)(\S+) \(([A-Z, -]+)\)$/.exec(line) ?? []
    if (indent === undefined || methods === undefined) return []
    const depth = indent.length / 4
    // A segment continues the one above it: `/`, `me`, `trics` is /metrics.
    above[depth] = segment === '*' ? '/*' : segment
    const path = `/${above.slice(0, depth + 1).join('')}`.replace(/^\/\//, '/')
    return methods.split(', ').map((method) => `${method} ${path}`)
  })
}
