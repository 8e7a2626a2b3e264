/** docs/back-ends.md with the frameworks that `npm ci` does not install: Next.js and NestJS, beside a real service. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { backEndFlow } from '../client/back-end-flow.js'
import { CLIENT_KEY, freshApp } from '../helpers/app.js'
import { blocksAfter } from '../helpers/doc-blocks.js'
import { freePort } from '../helpers/free-port.js'
import { call } from '../helpers/http-client.js'
import { need } from '../helpers/need.js'
import { startNode } from '../helpers/node-process.js'
import { projectWith } from '../helpers/package.js'
import { signUp } from '../helpers/person.js'
import { addressOf } from '../helpers/revocations.js'
import { compile } from './recipe.js'

await need('postgres')
t.setTimeout(600_000)

const page = await readFile('docs/back-ends.md', 'utf8')
/** Returns a block, with the setting of the test in place of the page's. */
function blockOf (name: string): string {
  const [block] = blocksAfter(page, name)
  if (block === undefined) throw new Error(`No block ${name}`)
  return block.replace("'refuse'", `process.env.ON_STALE${name.endsWith('.ts') ? ' as any' : ''}`)
}

const tsconfig = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2023',
    types: ['node'],
    outDir: 'build',
    strict: true,
    skipLibCheck: true,
    emitDecoratorMetadata: true,
    experimentalDecorators: true
  },
  files: ['server.ts']
}
const nest = ['reflect-metadata@0.2.2', 'rxjs@7.8.2', 'typescript@5.9.3', '@types/node@20.19.43']
const onFastify = (text: string) => text.replace('create(AppModule)', 'create(AppModule, new FastifyAdapter())')
  .replace(/^/, "import { FastifyAdapter } from '@nestjs/platform-fastify'\n")

const onExpress = blockOf('nest.ts')

for (const [name, packages, text] of [
  ['NestJS 11 on Express', ['@nestjs/common@11.2.10', '@nestjs/core@11.2.10', '@nestjs/platform-express@11.2.10'], onExpress],
  ['NestJS 12 on Fastify', ['@nestjs/common@12.5.1', '@nestjs/core@12.5.1', '@nestjs/platform-fastify@12.5.0'], onFastify(onExpress)]
] as const) {
  t.test(name, async (t) => {
    const files = { 'package.json': '{ "private": true }', 'server.ts': text, 'tsconfig.json': JSON.stringify(tsconfig) }
    const project = await projectWith(t, [...packages, ...nest], files)
    await compile(project)
    const { app } = await freshApp(t, { JWT_ALG: 'EdDSA' })
    const url = await addressOf(app)
    const start = async (onStale: string) => {
      const env = { COUNTERSIGN_URL: url, COUNTERSIGN_KEY: CLIENT_KEY, ON_STALE: onStale, PORT: '0' }
      const host = startNode(t, [join('build', 'server.js')], env, project.folder)
      return await host.saying(/^listening on (http:\S+)/m, 'the host to listen')
    }
    await backEndFlow(t, app, await start('refuse'), await start('ask'))
  })
}

t.test('Next.js: route handlers, and a prerendered page that is not cached for others', async (t) => {
  const names = ['lib/countersign.js', 'instrumentation.js', 'app/invoices/route.js', 'proxy.js']
  const reports = 'export default function Page () { return <p>the report of all</p> }\n'
  const project = await projectWith(t, ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'], {
    ...Object.fromEntries(names.map((name) => [name, blockOf(name)])),
    'app/layout.js': 'export default function Layout ({ children }) { return <html><body>{children}</body></html> }\n',
    'app/reports/page.js': reports,
    'app/open/page.js': reports
  })
  const next = join('node_modules', 'next', 'dist', 'bin', 'next')
  // Without the variables of the service: a build does not need it.
  const built = await project.run(process.execPath, [next, 'build'], { NEXT_TELEMETRY_DISABLED: '1' })
  t.equal(built.code, 0, built.stdout + built.stderr)

  const { app } = await freshApp(t, { JWT_ALG: 'EdDSA' })
  const url = await addressOf(app)
  const start = async (onStale: string) => {
    const port = await freePort()
    const env = { COUNTERSIGN_URL: url, COUNTERSIGN_KEY: CLIENT_KEY, ON_STALE: onStale, NEXT_TELEMETRY_DISABLED: '1' }
    const host = startNode(t, [next, 'start', '-p', String(port), '-H', '127.0.0.1'], env, project.folder)
    await host.saying(/(Ready) in/, 'Next.js to be ready')
    return `http://127.0.0.1:${port}`
  }
  const [refusing, asking] = [await start('refuse'), await start('ask')]

  const { access } = await (await signUp(app, 'reader')).enrol()
  t.match((await call(refusing, 'GET', '/open', {})).headers.get('cache-control'), 's-maxage=', 'a page that is prerendered')
  for (const path of ['/reports', '/reports?_rsc=1', '/reports?x=1']) {
    const headers = path.includes('_rsc') ? { rsc: '1' } : {}
    const page = await call(refusing, 'GET', path, { access, headers })
    t.match([page.status, page.text], [200, /the report of all/], path)
    t.equal(page.headers.get('cache-control'), 'private, no-store', path)
    const refused = await call(refusing, 'GET', path, { headers })
    t.match([refused.status, refused.headers.get('x-refusal'), refused.text], [401, 'TOKEN_INVALID', /TOKEN_INVALID/], path)
    t.equal(refused.headers.get('cache-control'), 'no-store', path)
  }
  const headers = { 'x-middleware-subrequest': 'proxy:proxy:proxy:proxy:proxy' }
  t.equal((await call(refusing, 'GET', '/reports', { headers })).status, 401, 'a header of Next.js itself')

  await backEndFlow(t, app, refusing, asking)
})
