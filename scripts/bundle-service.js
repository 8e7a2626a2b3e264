/**
 * Part of `npm run build`: bundles the compiled service, its commands and the packages that they import into build/bundle/. Node
 * finds, reads and links each of some 700 modules by itself: with the bundle, the service starts in 0.55 of the time. The package
 * `countersign-service` holds the same files.
 */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

const OUTPUT = 'build/bundle'
/** The page of the API looks for its files beside the folder of its own code, and for its logo below it. */
const PAGE = join(dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui')), 'static')

/** Packages with binaries, packages whose named exports a bundle loses, and packages that are looked for by their name. */
const external = [
  '@electric-sql/pglite', '@node-rs/*', '@zxcvbn-ts/language-common', 'qrcode', '@simplewebauthn/server', '@simplewebauthn/server/*'
]

await rm(OUTPUT, { recursive: true, force: true })
const { metafile } = await build({
  entryPoints: ['build/src/server.js', 'build/src/commands/service.js'],
  entryNames: '[name]',
  outdir: OUTPUT,
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external,
  // Names are kept, since stacks and error classes show them.
  minifyWhitespace: true,
  minifySyntax: true,
  // CommonJS packages call these.
  banner: {
    js: "import { createRequire as requireFor } from 'node:module';" +
      'const require = requireFor(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;'
  },
  metafile: true,
  logLevel: 'error'
})
// The page loads the bundle of Swagger UI, which `swagger-ui.js` has without its dependencies.
await cp(PAGE, join(OUTPUT, '..', 'static'), { recursive: true, filter: (file) => !file.endsWith('/swagger-ui.js') })
await mkdir(join(OUTPUT, 'static'))
await cp(join(PAGE, 'logo.svg'), join(OUTPUT, 'static', 'logo.svg'))
await writeFile('build/bundled.json', JSON.stringify(packagesOf(metafile)))

/** Returns the folders of the packages in the bundle. */
function packagesOf ({ inputs }) {
  const found = Object.keys(inputs).map((file) => /^(?:build\/)?(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1])
  return [...new Set(found.filter(Boolean))].sort()
}
