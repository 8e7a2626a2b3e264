import { randomBytes } from 'node:crypto'
import swagger from '@fastify/swagger'
import { Validator } from '@seriousme/openapi-schema-validator'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import countersign, { namedSchemas, type CountersignOptions } from '../../plugins/countersign.js'
import { follow, inlineObjects, type Document } from '../helpers/operations.js'

const cookie = { type: 'apiKey', in: 'cookie', name: 'host' } as const

/** Returns the OpenAPI document of a host, with the plugin attached. */
async function described (
  t: Test, openapi: object, more: Partial<CountersignOptions> = {}, host: (app: FastifyInstance) => void = () => {}
) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi, transformObject: namedSchemas as never })
  host(app)
  await app.register(countersign, {
    issuer: 'Acme',
    sealKeys: `2026:${randomBytes(32).toString('base64url')}`,
    database: 'postgres://127.0.0.1:1/nowhere',
    identify: () => null,
    label: () => '',
    complete: () => ({ sessionId: '', answer: {} }),
    ...more
  })
  await app.ready()
  return app.swagger() as unknown as Document
}

t.test("a host's OpenAPI document takes our operations in, whatever its security schemes are", async (t) => {
  for (const schemes of [{}, { components: { securitySchemes: { cookie } } }]) {
    const operation = (await described(t, schemes)).paths['/totp/login']?.['post']
    t.equal(operation?.operationId, 'verifyTotp')
    t.equal(operation?.security, undefined, 'a scheme that it does not have would break it')
  }
  const named = await described(t, { components: { securitySchemes: { cookie } } }, { security: [{ cookie: [] }] })
  t.same(named.paths['/totp/login']?.['post']?.security, [{ cookie: [] }])
})

for (const openapi of ['3.0.3', '3.1.0']) {
  t.test(`namedSchemas gives a host named types in OpenAPI ${openapi}, and leaves the host's own`, async (t) => {
    const title = 'An own schema, with a title for people'
    const own = { title, type: 'object', properties: { message: { type: 'string', title: 'Message' } } }
    const taken = { title: 'Message', type: 'object', properties: { body: { type: 'string' } } }
    const document = await described(t, { openapi }, {}, (app) => {
      app.get('/own', { schema: { response: { 200: own, 201: taken } } }, () => ({}))
    })
    t.same(inlineObjects({ '/totp/login': document.paths['/totp/login'] }), [])
    t.equal(follow(document, document.paths['/totp/status']!['get']!.responses['200']!).content!['application/json']!.schema!.$ref,
      '#/components/schemas/TotpStatus')
    const { schemas, responses } = document.components
    t.ok(schemas['OtpLocked'] && schemas['Refusal'] && responses['OtpLocked'])
    const [string, object, ours] = [schemas['Message'], schemas['Message2'], schemas['Message3']]
    t.equal(string?.['type'], 'string')
    t.ok(object?.['properties'] !== undefined && 'body' in (object['properties'] as object), 'each has a name of its own')
    t.ok(ours?.['properties'] !== undefined && 'message' in (ours['properties'] as object))
    t.equal(document.paths['/own']!['get']!.responses['200']!.content!['application/json']!.schema!['title'], title)
    const validator = new Validator()
    t.same((await validator.validate(JSON.parse(JSON.stringify(document)))).errors, undefined)
  })
}
