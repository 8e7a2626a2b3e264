import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { createSeal, DEFAULT_NAMESPACE, type Key, type Seal } from '../../core/keys/seal.js'
import { row, type Db } from '../../tables/db.js'

const NAME = 'digest'
const PLACE = { table: 'otp_key', row: NAME, userId: '' }

/** The digest key of the deployment cannot be opened: one line for the operator, which names the difference. */
export class SealedElsewhereError extends Error {
  override readonly name = 'SealedElsewhereError'
  readonly differs: 'keys' | 'namespace'

  constructor (differs: 'keys' | 'namespace', message: string) {
    super(message)
    this.differs = differs
  }

  /** Message without names of keys and namespaces, which every client may read. */
  get summary (): string {
    return this.differs === 'keys' ? 'SEAL_KEYS do not open what this database holds.' : 'What this database holds is of another namespace.'
  }
}

interface Found { sealed: string, namespace: string | null }

/**
 * Returns a function that reads the random key for the digests of recovery codes. The key is made once for the deployment
 * and is sealed, so that SEAL_KEYS can rotate and printed codes stay valid. It is sealed again when a newer key leads the
 * ring. Its row has the namespace, which is part of each sealed value.
 *
 * @returns a function that throws a `SealedElsewhereError` if the data is of other keys or of another namespace
 */
export function createDigestKey (db: Db, keys: readonly Key[], namespace: string): () => Promise<Buffer> {
  const seal = createSeal(keys, namespace)
  let known: Buffer | undefined

  async function read (): Promise<Buffer> {
    const { table } = db
    const found = await row<Found>(db, sql`
      with made as (
        insert into ${table.otp_key} (name, sealed, namespace) values (${NAME}, ${seal.seal(randomBytes(32), PLACE)}, ${namespace})
        on conflict (name) do nothing
        returning sealed, namespace
      )
      select sealed, namespace from made union all select sealed, namespace from ${table.otp_key} where name = ${NAME}`)
    // Another request made the key at the same time and its row is not visible yet: a second read finds it.
    if (found === undefined) return await read()
    const { plain, stale } = open(found)
    if (stale || found.namespace === null) {
      const resealed = stale ? seal.seal(plain, PLACE) : found.sealed
      await row(db, sql`
        update ${table.otp_key} set sealed = ${resealed}, namespace = ${namespace} where name = ${NAME} and sealed = ${found.sealed}`)
    }
    return plain
  }

  function open ({ sealed, namespace: theirs }: Found) {
    const other = theirs ?? (opens(createSeal(keys, DEFAULT_NAMESPACE), sealed) ? DEFAULT_NAMESPACE : namespace)
    if (other !== namespace) {
      throw new SealedElsewhereError('namespace', `The data here is of the namespace "${other}", ` +
        `and "namespace" is "${namespace}": it cannot be changed once there is data.`)
    }
    try {
      return seal.open(sealed, PLACE)
    } catch {
      const kid = sealed.split('.', 1)[0]!
      const isSameName = keys.some((key) => key.kid === kid)
      throw new SealedElsewhereError('keys', 'SEAL_KEYS ("sealKeys") do not open what this database holds: ' + (isSameName
        ? `its key "${kid}" is another one of that name${theirs === null ? ', or of another namespace' : ''}.`
        : `they lack its key "${kid}".`))
    }
  }

  return async () => {
    known ??= await read()
    return known
  }
}

function opens (seal: Seal, sealed: string): boolean {
  try {
    seal.open(sealed, PLACE)
    return true
  } catch {
    return false
  }
}
