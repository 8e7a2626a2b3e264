import { createDecipheriv, hkdfSync } from 'node:crypto'
import { keepHash } from '../../accounts/foreign-hashes.js'
import type { MovedTotp } from '../../factors/moving/factors.js'
import { fromBase32 } from '../../factors/moving/secrets.js'
import { emptyPerson, type Person, type Source } from '../person.js'
import { byUser, camelCased, literalTime, openSourceDatabase, pagesOfRows, textOf, timeOf } from '../postgres-source.js'

export interface SupabaseOptions {
  /** Keys of encrypted secrets, by their ids; the key without an id counts for every one. */
  keys: ReadonlyMap<string, Buffer>
  /** Time by which a ban has ended or not. */
  now: Date
}

const TABLES = ['auth.users', 'auth.mfa_factors']

type Row = Record<string, unknown>

/** Reads `id:base64url,…`, or one key alone. Returns undefined if it is malformed. */
export function parseKeys (text: string): Map<string, Buffer> | undefined {
  const found = new Map<string, Buffer>()
  for (const entry of text.split(',')) {
    const [, id = '', key = ''] = /^\s*(?:([^:]+):)?([A-Za-z0-9_-]{43})=?\s*$/.exec(entry) ?? []
    if (key === '') return undefined
    found.set(id, Buffer.from(key, 'base64url'))
  }
  return found
}

/**
 * Opens the database of a Supabase project for reading.
 *
 * @param password called only if the server needs one
 * @throws {SourceError} if it does not answer, or is another database
 */
export async function openSupabase (url: string, password: () => Promise<string>, options: SupabaseOptions): Promise<Source> {
  const db = await openSourceDatabase(url, password, TABLES, 'such a Supabase project')
  return {
    name: 'supabase',
    async * pages (since) {
      const changed = since === null ? '' : `and greatest(u.created_at, u.updated_at, u.last_sign_in_at) >= ${literalTime(since)}`
      // Projects of older releases have no such columns.
      const people = `auth.users u
        where to_jsonb(u) ->> 'deleted_at' is null and (to_jsonb(u) ->> 'is_anonymous') is distinct from 'true' ${changed}`
      const [counted] = await db.rows<{ total: number }>(`select count(*)::int as total from ${people}`)
      let done = 0
      for await (const users of pagesOfRows(db, `select to_jsonb(u) as row from ${people} order by u.id`)) {
        const rows = await db.rows<{ row: Row }>('select to_jsonb(f) as row from auth.mfa_factors f where f.user_id = any ($1::uuid[])',
          [users.map(({ id }) => id)])
        const factors = byUser(rows.map(({ row }): Row & { userId: string } => ({ ...camelCased(row), userId: String(row['user_id']) })))
        done += users.length
        yield {
          entries: users.map((user) => ({ person: translate(user, factors.get(String(user['id'])) ?? [], options) })),
          done,
          total: counted!.total
        }
      }
    },
    close: db.close
  }
}

function translate (user: Row, factors: readonly Row[], options: SupabaseOptions): Person {
  const verified = factors.filter((row) => row['status'] === 'verified')
  const notes: Person['notes'] = []
  const totp = verified.flatMap((row, i) => totpOf(row, `device ${i + 1}`, options, notes))
  const hash = textOf(user['encryptedPassword'])
  const bannedUntil = timeOf(user['bannedUntil'])
  const createdAt = timeOf(user['createdAt'])
  const phone = textOf(user['phone'])
  return {
    ...emptyPerson(String(user['id']), textOf(user['email']) === '' && phone !== '' ? `+${phone.replace(/^\+/, '')}` : ''),
    email: textOf(user['email']),
    emailVerified: timeOf(user['emailConfirmedAt']) !== null,
    phone: phone === '' ? '' : `+${phone.replace(/^\+/, '')}`,
    passwordHash: hash === '' ? null : keepHash(hash),
    isActive: bannedUntil === null || bannedUntil <= options.now,
    createdAt,
    updatedAt: timeOf(user['updatedAt']) ?? createdAt,
    factors: { totp, passkeys: [], passkeyHandle: null, codes: [] },
    owesFactor: verified.length > 0,
    facts: `imported from Supabase\0${JSON.stringify([
      user['email'], phone, hash, user['bannedUntil'], verified.map((row) => [row['id'], row['secret']])
    ])}`,
    notes,
    omitted: {
      devices: verified.length - totp.length,
      passkeys: 0,
      pendingDevices: factors.length - verified.length,
      recoveryCodes: 0,
      loneRecoveryDevices: 0
    }
  }
}

function totpOf (row: Row, label: string, { keys }: SupabaseOptions, notes: Person['notes']): MovedTotp[] {
  const stays = (reason: string): [] => {
    notes.push({ kind: 'device', reason: `${label} stays behind: ${reason}` })
    return []
  }
  if (row['factorType'] !== 'totp') return stays('its codes come by telephone, or it is a passkey')
  const text = openSecret(textOf(row['secret']), String(row['id']), keys)
  if (text === null) return stays('its secret cannot be decrypted: set SUPABASE_DB_ENCRYPTION_KEY')
  const key = fromBase32(text)
  if (key === null) return stays('its secret is not base32')
  return [{
    label,
    key,
    name: textOf(row['friendlyName']),
    algorithm: 'SHA1',
    digits: 6,
    periodSeconds: 30,
    t0Seconds: 0,
    lastStep: null,
    lastUsedAt: null,
    confirmedAt: timeOf(row['createdAt'])
  }]
}

/** A secret is plain, or JSON: AES-256-GCM under a key that HKDF-SHA-256 derives for the id of the row. */
function openSecret (stored: string, id: string, keys: ReadonlyMap<string, Buffer>): string | null {
  if (!stored.startsWith('{')) return stored
  try {
    const { key_id: keyId, alg, data, nonce } = JSON.parse(stored) as Record<string, unknown>
    const key = keys.get(String(keyId)) ?? keys.get('')
    if (alg !== 'aes-gcm-hkdf' || key === undefined) return null
    const bytes = Buffer.from(String(data), 'base64')
    const derived = Buffer.from(hkdfSync('sha256', key, '', id, 32))
    const decipher = createDecipheriv('aes-256-gcm', derived, Buffer.from(String(nonce), 'base64'), { authTagLength: 16 })
      .setAuthTag(bytes.subarray(-16))
    return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString()
  } catch {
    return null
  }
}
