/**
 * Part of `npm run build`: writes build/embedded-postgres.tar.br, the folder of a new embedded database as initdb makes it,
 * with nothing of ours in it. A first start unpacks it: initdb takes 10 s of CPU and 800 MiB.
 *
 *   node scripts/embedded-template.js <file>
 */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import { PGlite } from '@electric-sql/pglite'

/** The three databases of a new folder are alike: a window that reaches from one to the next halves the archive. */
const COMPRESSION = { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 24 }

const [,, file] = process.argv
const folder = await mkdtemp(join(tmpdir(), 'countersign-template-'))
try {
  const pglite = await PGlite.create({ dataDir: folder })
  const archive = await pglite.dumpDataDir('none')
  await pglite.close()
  // Two builds at once each write a whole file.
  await writeFile(`${file}.${process.pid}`, brotliCompressSync(await archive.arrayBuffer(), { params: COMPRESSION }))
  await rename(`${file}.${process.pid}`, file)
} finally {
  await rm(folder, { recursive: true })
}
