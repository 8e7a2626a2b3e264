/**
 * Part of `npm run build`: bundles what runs in browsers. build/elements/index.js is `countersign/elements`, for pages of hosts.
 * build/assets/ has the files of the service's own pages, under names that change with their content, each also compressed, and
 * `assets.json`, which says what is what.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { build } from 'esbuild'

const ELEMENTS = 'build/elements'
const PAGES = 'build/assets'
const common = { bundle: true, format: 'esm', platform: 'browser', target: 'es2022', minify: true, charset: 'utf8', logLevel: 'error' }

await rm(ELEMENTS, { recursive: true, force: true })
await build({ ...common, entryPoints: ['pages/elements/index.ts'], outdir: ELEMENTS, legalComments: 'linked' })

const { outputFiles, metafile } = await build({
  ...common,
  metafile: true,
  entryPoints: ['pages/service/app.ts', 'pages/service/page.css', 'pages/service/icon.svg'],
  loader: { '.svg': 'copy' },
  splitting: true,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  legalComments: 'none',
  outdir: PAGES,
  write: false
})
await rm(PAGES, { recursive: true, force: true })
await mkdir(PAGES, { recursive: true })
const names = {}
for (const { path, contents } of outputFiles) {
  const name = basename(path)
  // `app-QX3ZL4YC.js` is the `app.js` of the pages.
  names[name.replace(/-[A-Z0-9]{8}\./, '.')] = name
  await writeFile(join(PAGES, name), contents)
  await writeFile(join(PAGES, `${name}.gz`), await promisify(gzip)(contents, { level: 9 }))
  await writeFile(join(PAGES, `${name}.br`), await promisify(brotliCompress)(contents, {
    params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
  }))
}
await writeFile(join(PAGES, 'assets.json'), JSON.stringify(names))
await writeFile('build/bundled-pages.json', JSON.stringify(packagesOf(metafile)))

/** Returns the folders of the packages in the bundle. */
function packagesOf ({ inputs }) {
  const found = Object.keys(inputs).map((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1])
  return [...new Set(found.filter(Boolean))].sort()
}
