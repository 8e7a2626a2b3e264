/** Jest in the default project of NestJS 11, which is CommonJS: six lines of configuration let it load the package. */
import t from 'tap'
import { installRecipe } from './recipe.js'
import { need } from '../helpers/need.js'

await need('postgres')
t.setTimeout(600_000)

const packages = [
  '@nestjs/common@11.2.10', '@nestjs/core@11.2.10', '@nestjs/platform-fastify@11.2.8', '@nestjs/testing@11.2.6', 'reflect-metadata@0.2.2',
  'rxjs@7.8.2', 'typescript@5.9.3', '@types/node@20.19.43', '@types/jest@30.0.0', 'jest@30.5.2', 'ts-jest@29.4.15', 'esbuild@0.28.2',
  '@electric-sql/pglite@0.5.16'
]

t.test('a guarded route of Nest, with a database in memory', async (t) => {
  const { run } = await installRecipe(t, 'jest', packages, { 'package.json': '{ "private": true }' })
  const { code, stderr } = await run('npx', ['jest'], { NODE_OPTIONS: '--experimental-vm-modules', CI: '1' })
  t.equal(code, 0, stderr)
  t.match(stderr, /1 passed, 1 total/)
})
