/** Hosts on Fastify, and Express beside it: the whole flow with each. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { visitorAt, type Answer } from '../hosts/visitor.js'
import { wholeFlow } from '../hosts/whole-flow.js'
import { installRecipe, logInAt } from './recipe.js'

await need('postgres')
t.setTimeout(600_000)

interface Host {
  packages: string[]
  /** Path of the route that asks for a fresh proof, and of the others. */
  fresh?: { method: string, path: string }
  paths?: { plain: string, required: string }
  codeOf?: (answer: Answer) => unknown
  /** Body of a log-in. */
  body?: (name: string) => object
}

const always = ['fastify@5.12.8', 'pg@8.23.1']
const hosts: Record<string, Host> = {
  passport: {
    packages: ['@fastify/passport@4.0.3', 'passport-local@1.0.0', '@fastify/secure-session@8.4.0'],
    body: (name) => ({ name, password: 'a password' })
  },
  autoload: {
    packages: ['@fastify/autoload@6.5.0', '@fastify/jwt@10.2.8', 'fastify-plugin@5.1.0'], fresh: { method: 'DELETE', path: '/account' }
  },
  trpc: {
    packages: ['@trpc/server@11.25.2', '@fastify/jwt@10.2.8', 'typescript@5.9.3'],
    fresh: { method: 'GET', path: '/trpc/export' },
    paths: { plain: '/trpc/invoices', required: '/trpc/payroll' },
    codeOf: ({ json }) => json.code ?? json.error?.data?.refusal?.code
  },
  express: { packages: ['express@5.3.0', 'jsonwebtoken@9.0.3'] }
}

for (const [folder, { packages, body, codeOf, ...host }] of Object.entries(hosts)) {
  t.test(folder, async (t) => {
    const installed = await installRecipe(t, folder, [...always, ...packages])
    const { base, process } = await installed.start({
      SEAL_KEYS: freshKeys()['SEAL_KEYS']!,
      JWT_SECRET: randomBytes(32).toString('hex'),
      SESSION_KEY: randomBytes(32).toString('hex')
    })
    const { plain, required } = host.paths ?? { plain: '/invoices', required: '/payroll' }
    await wholeFlow(t, {
      clock: installed.clock,
      prefix: '/totp',
      guarded: [
        { method: 'GET', path: plain, demand: 'plain' },
        { ...host.fresh ?? { method: 'DELETE', path: plain }, demand: 'fresh' },
        { method: 'GET', path: required, demand: 'required' }
      ],
      logIn: logInAt(base, body),
      codeOf: codeOf ?? (({ json }) => json.code)
    })
    t.equal((await visitorAt([base]).ask('GET', plain)).status, 401, 'a stranger')
    process.stillRunning()
  })
}
