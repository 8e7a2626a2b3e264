/** Host in the strictest TypeScript, with zod, Kysely and opaque tokens. */
import { join } from 'node:path'
import t from 'tap'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { installHost } from './host.js'
import { visitorAt } from './visitor.js'
import { wholeFlow } from './whole-flow.js'

await need('postgres')
t.setTimeout(600_000)

const installed = await installHost(t, 'strict')

const compiler = join('..', 'node_modules', 'typescript', 'bin', 'tsc')

t.test('it compiles, with the types of libraries checked too; what is wrong does not', async (t) => {
  t.same(await installed.run(process.execPath, [compiler]), { code: 0, stdout: '', stderr: '' })
})

t.test('sealKeys from the environment is one error, at its line', async (t) => {
  const flags = [
    '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2023', '--types', 'node', '--pretty', 'false'
  ]
  const { code, stdout } = await installed.run(process.execPath, [compiler, ...flags, 'environment.ts'])
  t.equal(code, 2)
  t.strictSame(stdout.match(/^\S+\(\d+,\d+\): error TS\d+/gm), ['environment.ts(8,3): error TS2769'])
  t.match(stdout, "Type 'string | undefined' is not assignable to type 'string | readonly Key[]'")
})

t.test('an editor explains the guard and the options', async (t) => {
  const { stdout, stderr } = await installed.run(process.execPath, ['hover.js', 'environment.ts', 'otpVerified', 'sealKeys', 'identify'])
  t.equal(stderr, '')
  const [guard, keys, identify] = stdout.split('\n')
  t.match(guard, '{ preHandler: app.otpVerified }')
  t.match(keys, 'encrypt secrets at rest')
  t.match(identify, 'user and the session of a request')
})

t.test('the whole flow', async (t) => {
  const { base } = await installed.start({ SEAL_KEYS: freshKeys()['SEAL_KEYS']! }, join('build', 'server.js'))
  await wholeFlow(t, {
    clock: installed.clock,
    prefix: '/me/second-factor',
    guarded: [
      { method: 'GET', path: '/me', demand: 'plain' },
      { method: 'DELETE', path: '/me', demand: 'fresh' },
      { method: 'GET', path: '/payouts', demand: 'required' }
    ],
    async logIn (name) {
      const visitor = visitorAt([base])
      const { status, text } = await visitor.ask('POST', '/login', { email: `${name}@example.org` })
      if (status !== 200) throw new Error(`log-in: ${text}`)
      return visitor
    },
    codeOf: ({ json }) => json.code
  })
})
