import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import countersign, { type CountersignOptions } from '../../plugins/countersign.js'
import { checkOptions } from '../../src/attach/options.js'
import { factorRules } from '../../src/attach/options/factor-options.js'
import { routeRules } from '../../src/attach/options/route-options.js'
import { documentedOptions } from '../helpers/doc-options.js'

const key = randomBytes(32).toString('base64url')
const sound = {
  issuer: 'Acme',
  sealKeys: `2026:${key}`,
  database: 'postgres://127.0.0.1:1/nowhere',
  identify: () => null,
  label: () => '',
  complete: () => ({ sessionId: '', answer: {} })
} satisfies CountersignOptions

/** [further options, name of the option in the refusal] */
const wrong: ReadonlyArray<readonly [object, string]> = [
  ...(['issuer', 'sealKeys', 'database', 'identify', 'label', 'complete'] as const).map((name) => [{ [name]: undefined }, name] as const),
  [{ issuer: 'A: B' }, 'issuer'],
  [{ sealKeys: key }, 'sealKeys'],
  [{ sealKeys: `2026:${Buffer.alloc(32).toString('base64url')}` }, 'sealKeys'],
  [{ sealKeys: [] }, 'sealKeys'],
  [{ namespace: 'a b' }, 'namespace'],
  [{ database: 'mysql://somewhere' }, 'database'],
  [{ redis: 'redis://somewhere' }, 'redis'],
  [{ prefix: '2fa' }, 'prefix'],
  [{ prefix: '/2fa/' }, 'prefix'],
  [{ tables: { schema: 'Robert"; drop' } }, 'tables.schema'],
  [{ tables: { shema: 'acme' } }, 'tables'],
  [{ identify: 'jwt' }, 'identify'],
  [{ sameSession: 'yes' }, 'sameSession'],
  [{ endSessions: {} }, 'endSessions'],
  [{ settings: { window: 3 } }, 'settings'],
  [{ settings: { setupSecond: 60 } }, 'settings'],
  [{ settings: { toString: 1 } }, 'settings'],
  [{ settings: { recoveryCodes: 21 } }, 'settings'],
  [{ revocationSeconds: 0.5 }, 'revocationSeconds'],
  [{ decorators: { guard: 'verified' } }, 'decorators'],
  ...[
    {}, { origins: ['https://a.example'] }, { rpId: 'a.example' }, { rpId: 'a.example', origins: [] },
    { rpId: 'b.example', origins: ['https://a.example'] }, { rpId: 'ample', origins: ['https://a.example'] },
    { rpId: 'a.example', origins: ['https://a.example/'] }, { rpId: 'a.example', origins: ['http://a.example'] },
    { rpId: '127.0.0.1', origins: ['http://127.0.0.1:3000'] }, { rpId: 'a.example', origins: 'https://a.example' },
    { rpId: 'a.example', origins: ['https://a.example'], rpName: '' }, { rpId: 'a.example', origins: ['https://a.example'], name: 'Acme' },
    { rpId: 'a.example', origins: ['https://a.example'], userVerification: 'discouraged' }
  ].map((passkeys) => [{ passkeys }, 'passkeys'] as const),
  [{ security: { cookie: [] } }, 'security'],
  [{ answerSchema: { $ref: 'nobody#' } }, 'answerSchema'],
  [{ answerSchema: { type: 'object', properties: { of: { type: 'nothing that there is' } } } }, 'answerSchema'],
  [{ endSession: () => {} }, 'endSession']
]

t.test('what is missing, wrong or unknown is refused at registration, by name and without its value', async (t) => {
  for (const [besides, name] of wrong) {
    const refused = { name: 'TypeError', message: new RegExp(`^countersign: .*"${name}"`) }
    t.throws(() => checkOptions({ ...sound, ...besides } as CountersignOptions), refused, JSON.stringify(besides))
    try {
      checkOptions({ ...sound, ...besides } as CountersignOptions)
    } catch (error) {
      t.notOk((error as Error).message.includes(key))
    }
  }
  t.match(checkOptions(sound), {
    namespace: 'countersign',
    schema: 'countersign',
    prefix: '/totp',
    settings: { window: 1, freshSeconds: 300 },
    revocationSeconds: 1
  })
})

t.test('each option is documented with the default that its check fills in, and with an example where it is not a number', (t) => {
  const rules: Record<string, { fallback?: unknown, isRequired?: true }> = { ...factorRules, ...routeRules }
  const documented = documentedOptions()
  t.same(documented.map(({ name }) => name).sort(), Object.keys(rules).sort())
  for (const { name, isRequired, initial, example } of documented) {
    const { fallback, isRequired: must = false } = rules[name]!
    t.equal(isRequired, must, name)
    t.equal(initial === undefined, isRequired, `${name} has a @default, or is required`)
    if (fallback !== undefined) t.same(valueOf(initial!), fallback, name)
    if (typeof fallback !== 'number' && typeof fallback !== 'boolean') t.type(example, 'string', `${name} has an @example`)
  }
  t.end()
})

/** Reads a literal of TypeScript: JSON but for the quotes. */
const valueOf = (text: string): unknown => JSON.parse(text.replaceAll("'", '"').replace(/(\w+):/g, '"$1":'))

t.test('a second registration wants names and tables of its own', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const database = { connect: async () => { throw new Error('connection refused') }, totalCount: 0, idleCount: 0, waitingCount: 0 } as never
  const sees = [
    { ...sound, database },
    { ...sound, database, prefix: '/staff/2fa' },
    { ...sound, database, prefix: '/staff/2fa', decorators: { otpVerified: 'staffVerified', countersign: 'staffCountersign' } }
  ]
  await app.register(countersign, sees[0]!)
  await t.rejects(async () => { await app.register(countersign, sees[1]!) }, /"decorators" must name another one than "otpVerified"/)

  const other = Fastify()
  t.teardown(() => other.close())
  await t.rejects(async () => { await other.register(countersign, sees[2]!) }, /"tables.schema" must be another one than "countersign"/)
  const apart = Fastify()
  t.teardown(() => apart.close())
  await apart.register(countersign, { ...sees[2]!, tables: { schema: 'staff_factors' } })
  t.ok(apart.hasDecorator('staffVerified') && apart.hasDecorator('staffCountersign'))
  t.notOk(apart.hasDecorator('otpVerified'))
})
