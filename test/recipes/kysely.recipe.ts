/** A host in the strictest TypeScript with each version of Kysely that hosts have: it compiles, and the whole flow. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { need } from '../helpers/need.js'
import { projectWith } from '../helpers/package.js'
import { freshKeys } from '../helpers/settings.js'
import { startable } from '../hosts/host.js'
import { visitorAt } from '../hosts/visitor.js'
import { wholeFlow } from '../hosts/whole-flow.js'
import { compile } from './recipe.js'

await need('postgres')
t.setTimeout(600_000)

const HOST = join('test', 'hosts', 'strict')
const packages = [
  'fastify@5.12.8', 'pg@8.23.1', 'zod@4.6.7', 'fastify-type-provider-zod@7.0.0',
  'typescript@5.9.3', '@types/node@20.19.43', '@types/pg@8.23.1',
  // Types that countersign/testing and the option redis name.
  'ioredis@6.0.0', '@electric-sql/pglite@0.5.17'
]
const files: Record<string, string> = {}
for (const name of await readdir(HOST)) files[name] = await readFile(join(HOST, name), 'utf8')

for (const version of ['0.28.18', '0.28.19', '0.29.9']) {
  t.test(`Kysely ${version}`, async (t) => {
    const installed = await startable(t, await projectWith(t, [...packages, `kysely@${version}`], files))
    const manifest = await readFile(join(installed.folder, 'node_modules', 'kysely', 'package.json'), 'utf8')
    t.equal((JSON.parse(manifest) as { version: string }).version, version)
    await compile(installed)
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
}
