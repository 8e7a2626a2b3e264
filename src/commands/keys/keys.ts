import type { Config } from '../../config/config.js'
import { countStale, replaceSealed, sealedPlaces, stalePage } from '../../staff/reseal.js'
import { withContext, type Context } from '../context.js'
import type { Io } from '../io.js'

/** Seals all secrets again under the first key of SEAL_KEYS. Exits with 1 if some remain under another key. */
export async function rotateKeysCommand (io: Io, config: Config): Promise<number> {
  return await withContext(config, async (context) => {
    const { db, sealKid } = context
    const progress = io.progress('re-sealing')
    const { resealed, unopened } = await reseal(context, progress.update).finally(() => progress.stop())
    const left = await countStale(db, sealKid)
    for (const place of unopened) io.say(`not opened by any of SEAL_KEYS: ${place}`)
    io.print(
      { kid: sealKid, resealed, left },
      [`Re-sealed under "${sealKid}": ${resealed}. Left: ${left}.${left === 0 ? ' The other keys can go.' : ''}`]
    )
    return left === 0 ? 0 : 1
  })
}

/**
 * Seals one batch at a time. A row is written only if it still has the value that was read, so a running server is not
 * disturbed. After a crash, the next run continues.
 */
async function reseal (
  { db, seal, sealKid }: Context, onProgress: (done: number, total: number) => void
): Promise<{ resealed: number, unopened: string[] }> {
  const total = await countStale(db, sealKid)
  const unopened: string[] = []
  let [seen, resealed] = [0, 0]
  onProgress(0, total)
  for (const place of sealedPlaces) {
    for (let page = await stalePage(db, place, sealKid, null); page.length > 0; page = await stalePage(db, place, sealKid, page.at(-1)!)) {
      const replacements = page.flatMap(({ userId, row, sealed }) => {
        const at = { table: place, row, userId }
        try {
          return { userId, row, sealed, resealed: seal.seal(seal.open(sealed, at).plain, at) }
        } catch {
          unopened.push(`${place} ${row}`)
          return []
        }
      })
      resealed += await replaceSealed(db, place, replacements)
      seen += page.length
      onProgress(Math.min(seen, total), total)
    }
  }
  return { resealed, unopened }
}
