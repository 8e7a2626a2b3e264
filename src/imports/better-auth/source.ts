import { keepHash } from '../../accounts/foreign-hashes.js'
import { longest, shortened } from '../../core/texts.js'
import { fromBase32 } from '../../factors/moving/secrets.js'
import type { MovedTotp } from '../../factors/moving/factors.js'
import { emptyPerson, type Person, type Source } from '../person.js'
import {
  byUser, camelCased, literalTime, openSourceDatabase, pagesOfRows, textOf, timeOf, type SourceDatabase
} from '../postgres-source.js'
import { decrypt, type BetterAuthSecrets } from './decrypt.js'

export interface BetterAuthOptions {
  secrets: BetterAuthSecrets
  /** Parameters of the plugin, which stand in no row. */
  digits: number
  periodSeconds: number
  /** Time by which a ban has ended or not. */
  now: Date
}

const TABLES = ['"user"', 'account', '"twoFactor"']
const BASE32 = 'base32:'

type Row = Record<string, unknown>

/**
 * Opens the database of a better-auth deployment for reading.
 *
 * @param password called only if the server needs one
 * @throws {SourceError} if it does not answer, or is another database
 */
export async function openBetterAuth (url: string, password: () => Promise<string>, options: BetterAuthOptions): Promise<Source> {
  const db = await openSourceDatabase(url, password, TABLES, 'such a better-auth deployment')
  return {
    name: 'better-auth',
    async * pages (since) {
      const changed = since === null ? '' : `where greatest(${await timesOf(db)}) >= ${literalTime(since)}`
      const [counted] = await db.rows<{ total: number }>(`select count(*)::int as total from "user" u ${changed}`)
      let done = 0
      for await (const users of pagesOfRows(db, `select to_jsonb(u) as row from "user" u ${changed} order by u.id`)) {
        const ids = users.map(({ id }) => String(id))
        const [accounts, factors] = [await rowsOf(db, 'account', ids), await rowsOf(db, '"twoFactor"', ids)]
        done += users.length
        const entries = users.map((user) => ({
          person: translate(user, accounts.get(String(user['id'])) ?? [], factors.get(String(user['id'])) ?? [], options)
        }))
        yield { entries, done, total: counted!.total }
      }
    },
    close: db.close
  }
}

/** Columns of the times of a change, by the spelling of this deployment. */
async function timesOf (db: SourceDatabase): Promise<string> {
  const rows = await db.rows<{ name: string }>(`
    select attname as name from pg_attribute
    where attrelid = '"user"'::regclass and attnum > 0 and attname in ('createdAt', 'updatedAt', 'created_at', 'updated_at')`)
  return rows.map(({ name }) => `u."${name}"`).join(', ')
}

async function rowsOf (db: SourceDatabase, table: string, ids: string[]): Promise<Map<string, Array<Row & { userId: string }>>> {
  const rows = await db.rows<{ row: Row }>(`
    select to_jsonb(r) as row from ${table} r
    where coalesce(to_jsonb(r) ->> 'userId', to_jsonb(r) ->> 'user_id') = any ($1::text[])`, [ids])
  return byUser(rows.map(({ row }) => camelCased(row)).map((row) => ({ ...row, userId: String(row['userId']) })))
}

function translate (user: Row, accounts: readonly Row[], factors: readonly Row[], options: BetterAuthOptions): Person {
  const id = String(user['id'])
  const password = textOf(accounts.find((account) => account['providerId'] === 'credential')?.['password'])
  const isAsked = user['twoFactorEnabled'] === true
  // `enable` with codes by mail writes no row; a row that was not verified is pending.
  const verified = isAsked ? factors.filter((row) => row['verified'] !== false) : []
  const notes: Person['notes'] = []
  const totp = verified.flatMap((row, i) => totpOf(row, `device ${i + 1}`, options, notes))
  const codes = verified.flatMap((row) => codesOf(row, options.secrets, notes))
  const createdAt = timeOf(user['createdAt'])
  const banEnds = timeOf(user['banExpires'])
  const [firstName = '', ...others] = textOf(user['name']).split(' ')
  return {
    ...emptyPerson(id, textOf(user['username'])),
    email: textOf(user['email']),
    emailVerified: user['emailVerified'] === true,
    firstName: shortened(firstName, longest.firstName),
    lastName: shortened(others.join(' '), longest.lastName),
    phone: shortened(textOf(user['phoneNumber']), longest.phone),
    passwordHash: password === '' ? null : keepHash(password),
    isActive: !(user['banned'] === true && (banEnds === null || banEnds > options.now)),
    createdAt,
    updatedAt: timeOf(user['updatedAt']) ?? createdAt,
    factors: { totp, passkeys: [], passkeyHandle: null, codes: codes.map((code) => ({ code, form: 'printed' })) },
    owesFactor: isAsked,
    facts: `imported from better-auth\0${JSON.stringify([
      user['username'], user['email'], password, isAsked, user['banned'], verified.map((row) => [row['secret'], row['backupCodes']])
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

/** The key of a secret is the UTF-8 of its text, unless the text says that it is base32. */
function totpOf (row: Row, label: string, { secrets, digits, periodSeconds }: BetterAuthOptions, notes: Person['notes']): MovedTotp[] {
  const text = decrypt(secrets, textOf(row['secret']))
  const stays = (reason: string): [] => {
    notes.push({ kind: 'device', reason: `${label} stays behind: ${reason}` })
    return []
  }
  if (text === null) return stays('its secret was encrypted under another BETTER_AUTH_SECRET')
  const marked = text.startsWith(BASE32) ? fromBase32(text.slice(BASE32.length)) : undefined
  if (marked === null) return stays('its secret is not base32')
  // A text of one case that is base32, too: the guide for users of another provider leaves such ones.
  const other = marked === undefined && /^([A-Z2-7]+|[a-z2-7]+)=*$/.test(text) ? fromBase32(text) : null
  return [{
    label,
    key: marked ?? Buffer.from(text),
    ...(other === null ? {} : { otherKey: other }),
    name: '',
    algorithm: 'SHA1',
    digits,
    periodSeconds,
    t0Seconds: 0,
    lastStep: null,
    lastUsedAt: null,
    confirmedAt: timeOf(row['createdAt'])
  }]
}

/** The codes are encrypted by default, or plain JSON. */
function codesOf (row: Row, secrets: BetterAuthSecrets, notes: Person['notes']): string[] {
  const stored = textOf(row['backupCodes'])
  try {
    const codes: unknown = JSON.parse(stored.startsWith('[') ? stored : decrypt(secrets, stored) ?? '')
    if (Array.isArray(codes) && codes.every((code) => typeof code === 'string')) return codes
  } catch {
    // named below
  }
  if (stored !== '') notes.push({ kind: 'recoveryCode', reason: 'the recovery codes stay behind: they cannot be decrypted' })
  return []
}
