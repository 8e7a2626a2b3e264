import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Seal } from '../core/seal.js'
import { row, type Db } from './tables.js'

const NAME = 'digest'
const PLACE = { table: 'otp_key', row: NAME, userId: '' }

/**
 * The random key under which recovery codes are digested: made once for the deployment and itself sealed, so that
 * SEAL_KEYS rotate and printed codes live. Re-sealed as soon as a newer key leads the ring.
 */
export function createDigestKey (db: Db, seal: Seal): () => Promise<Buffer> {
  let known: Buffer | undefined

  async function read (): Promise<Buffer> {
    const { table } = db
    const found = await row<{ sealed: string }>(db, sql`
      with made as (
        insert into ${table.otp_key} (name, sealed) values (${NAME}, ${seal.seal(randomBytes(32), PLACE)})
        on conflict (name) do nothing
        returning sealed
      )
      select sealed from made union all select sealed from ${table.otp_key} where name = ${NAME}`)
    // Nothing comes back to whoever lost the race to make it; a second look finds the winner's.
    if (found === undefined) return await read()
    const { plain, stale } = seal.open(found.sealed, PLACE)
    if (stale) {
      await row(db, sql`update ${table.otp_key} set sealed = ${seal.seal(plain, PLACE)} where name = ${NAME} and sealed = ${found.sealed}`)
    }
    return plain
  }

  return async () => {
    known ??= await read()
    return known
  }
}
