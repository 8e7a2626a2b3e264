/** NestJS 11 and 12, as CommonJS, which is what their default projects compile to. */
import { join } from 'node:path'
import t from 'tap'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { wholeFlow } from '../hosts/whole-flow.js'
import { compile, installRecipe, logInAt } from './recipe.js'

await need('postgres')
t.setTimeout(600_000)

const versions = {
  'NestJS 11': ['@nestjs/common@11.2.10', '@nestjs/core@11.2.10', '@nestjs/platform-fastify@11.2.8'],
  'NestJS 12': ['@nestjs/common@12.5.1', '@nestjs/core@12.5.1', '@nestjs/platform-fastify@12.5.0']
}
const others = ['pg@8.23.1', 'reflect-metadata@0.2.2', 'rxjs@7.8.2', 'typescript@5.9.3', '@types/node@20.19.43', '@types/pg@8.23.1']

for (const [version, packages] of Object.entries(versions)) {
  t.test(`${version}: it compiles, and the whole flow`, async (t) => {
    const installed = await installRecipe(t, 'nest', [...packages, ...others], { 'package.json': '{ "private": true }' })
    await compile(installed)
    const { base } = await installed.start({ SEAL_KEYS: freshKeys()['SEAL_KEYS']! }, join('build', 'server.js'))
    await wholeFlow(t, {
      clock: installed.clock,
      prefix: '/totp',
      guarded: [
        { method: 'GET', path: '/invoices', demand: 'plain' },
        { method: 'DELETE', path: '/invoices', demand: 'fresh' },
        { method: 'GET', path: '/payroll', demand: 'required' }
      ],
      logIn: logInAt(base),
      codeOf: ({ json }) => json.code
    })
  })
}
