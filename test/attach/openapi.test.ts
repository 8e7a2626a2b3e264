import { randomBytes } from 'node:crypto'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import countersign, { type CountersignOptions } from '../../plugins/countersign.js'

const cookie = { type: 'apiKey', in: 'cookie', name: 'host' } as const

/** Returns the entry in a host's OpenAPI document for the operation that verifies. */
async function described (
  t: Test,
  securitySchemes: Record<string, typeof cookie>,
  more: Partial<CountersignOptions>
): Promise<{ operationId: string, security?: unknown } | undefined> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: Object.keys(securitySchemes).length === 0 ? {} : { components: { securitySchemes } } })
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
  return app.swagger().paths?.['/totp/login']?.post as never
}

t.test("a host's OpenAPI document takes our operations in, whatever its security schemes are", async (t) => {
  for (const schemes of [{}, { cookie }]) {
    const operation = await described(t, schemes, {})
    t.equal(operation?.operationId, 'verifyTotp')
    t.equal(operation?.security, undefined, 'a scheme that it does not have would break it')
  }
  t.same((await described(t, { cookie }, { security: [{ cookie: [] }] }))?.security, [{ cookie: [] }])
})
