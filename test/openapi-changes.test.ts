import { readFile } from 'node:fs/promises'
import t from 'tap'
import { breakingChanges, type ApiDocument } from './helpers/openapi-changes.js'

type Loose = any

const text = await readFile('openapi.json', 'utf8')
const read = (): Loose => JSON.parse(text)

const signUp = (document: Loose) => document.paths['/users'].post
const body = (document: Loose) => document.components.schemas.NewUser
const answer = (document: Loose) => document.components.schemas.TokenPair

/** [kind, change, expected part of the finding] */
const kinds: ReadonlyArray<readonly [string, (document: Loose) => void, string]> = [
  ['path', (d) => { delete d.paths['/users'] }, 'POST /users is gone'],
  ['method', (d) => { delete d.paths['/account'].patch }, 'PATCH /account is gone'],
  ['operationId', (d) => { signUp(d).operationId = 'register' }, 'operationId'],
  ['type name', (d) => { delete d.components.schemas.Ready }, 'Ready is gone'],
  ['security of an operation', (d) => { signUp(d).security = [{ bearer: [] }] }, 'security was added'],
  ['security by the document', (d) => { delete signUp(d).security }, 'security was added'],
  ['required parameter where no list was', (d) => {
    signUp(d).parameters = [{ name: 'tenant', in: 'query', required: true, schema: { type: 'string' } }]
  }, 'query tenant is new and required'],
  ['parameter gone', (d) => { d.paths['/session'].get.parameters.pop() }, 'is gone'],
  ['parameter required', (d) => { d.paths['/session'].get.parameters[0].required = true }, 'is required'],
  ['body required', (d) => { d.paths['/totp/create'].post.requestBody.required = true }, 'the body is required'],
  ['body new and required', (d) => {
    d.paths['/token/revoke'].post.requestBody = { required: true, content: { 'application/json': { schema: { type: 'object' } } } }
  }, 'the body is required'],
  ['body gone', (d) => { delete signUp(d).requestBody }, 'takes no body'],
  ['media type', (d) => { signUp(d).requestBody.content = { 'text/plain': {} } }, 'application/json'],
  ['field of a body gone', (d) => { delete body(d).properties.phone }, 'body.phone is gone'],
  ['field of a body required', (d) => { body(d).required.push('phone') }, 'body.phone is required'],
  ['type of a field', (d) => { body(d).properties.firstName.type = 'integer' }, 'body.firstName: type'],
  ['maxLength lower', (d) => { d.components.schemas.Email.maxLength = 10 }, 'body.email: maxLength'],
  ['minLength higher', (d) => { d.components.schemas.NewPassword.minLength = 20 }, 'body.password: minLength'],
  ['pattern', (d) => { d.components.schemas.Email.pattern = '^a' }, 'body.email: pattern'],
  ['format', (d) => { d.components.schemas.Email.format = 'email' }, 'body.email: format'],
  ['enum new', (d) => { body(d).properties.firstName.enum = ['Ada'] }, 'only some values'],
  ['unknown fields refused', (d) => { d.components.schemas.AuthenticationResponseJSON.additionalProperties = false }, 'unknown fields'],
  ['success status', (d) => { signUp(d).responses['200'] = signUp(d).responses['201']; delete signUp(d).responses['201'] }, '201 is gone'],
  ['media type of an answer', (d) => { d.paths['/token/refresh'].post.responses['200'].content = {} }, 'application/json is gone'],
  ['header of an answer', (d) => { delete d.paths['/session'].get.responses['200'].headers['X-User-Id'] }, 'header X-User-Id'],
  ['field of an answer gone', (d) => { delete answer(d).properties.refresh }, '200.refresh is gone'],
  ['field of an answer optional', (d) => { answer(d).required.shift() }, 'may be absent'],
  ['field of an answer nullable', (d) => { answer(d).properties.access.type = ['string', 'null'] }, '200.access: type'],
  ['field of a listed thing', (d) => { delete d.components.schemas.Device.properties.name }, '200[].name is gone']
]

t.test('the document breaks no client of itself', async (t) => {
  t.same(breakingChanges(read(), read()), [])
})

for (const [kind, change, expected] of kinds) {
  t.test(`a breaking change is found: ${kind}`, async (t) => {
    const after = read()
    change(after)
    const found = breakingChanges(read() as ApiDocument, after as ApiDocument)
    t.ok(found.some((finding) => finding.includes(expected)), found.join('\n'))
  })
}

t.test('additions break nothing', async (t) => {
  const after = read()
  after.paths['/new'] = { get: { operationId: 'getNew', responses: {} } }
  signUp(after).parameters = [{ name: 'hint', in: 'query', schema: { type: 'string' } }]
  signUp(after).responses['202'] = { description: 'Later.' }
  body(after).properties.nick = { type: 'string' }
  body(after).properties.phone = {}
  answer(after).properties.hint = { type: 'string' }
  answer(after).required.push('hint')
  after.components.schemas.OtpMethod.enum.push('voice')
  after.components.schemas.NewPassword.maxLength += 1
  t.same(breakingChanges(read(), after), [])
})
