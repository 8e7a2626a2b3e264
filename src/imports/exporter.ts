import type { Seal } from '../core/keys/seal.js'
import { asExported } from '../accounts/foreign-hashes.js'
import { recordExported } from '../events/exported.js'
import { exportedUsers, readExport } from '../factors/moving/export-factors.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { timeAs } from '../tables/values.js'

export interface ExportOptions {
  db: Db
  seal: Seal
  digestKey: () => Promise<Buffer>
  /** Ids of the users; null for all. */
  userIds: string[] | null
  withSecrets: boolean
  reason: string
}

export interface Exported { record: object, username: string, faults: string[] }

const selectAccounts = statement('export_accounts', (db, p: Parameters<{ userIds: string[] }>) => db.selectFrom('account as a')
  .innerJoin('otp_user as u', (join) => join.on((eb) => eb('u.user_id', '=', eb.cast<string>('a.id', 'text'))))
  .select((eb) => [
    'a.id', 'a.username', 'a.email', 'a.locale', 'a.first_name as firstName', 'a.last_name as lastName', 'a.phone',
    'a.password_hash as passwordHash', 'a.is_active as isActive', 'a.is_staff as isStaff', 'u.setup_required as setupRequired',
    eb.or([eb('a.power_account_id', 'is not', null), eb('a.power_contact_id', 'is not', null)]).$castTo<boolean>().as('hasReferences'),
    eb.selectFrom('account_oauth_profile as p').whereRef('p.user_id', '=', 'u.user_id')
      .select((eb) => eb.cast<number>(eb.fn.countAll(), 'integer').as('count')).$asScalar().$notNull().as('oauthProfiles'),
    eb('a.email_verified_at', 'is not', null).$castTo<boolean>().as('emailVerified'), timeAs(eb.ref('a.created_at'), 'createdAt')
  ])
  .where('a.id', '=', (eb) => eb.fn.any(eb.val(p.userIds)))
  .orderBy('a.id'))

/** Returns the records of accounts, in pages. An event for each user is committed before its record is returned. */
export async function * exportPeople (options: ExportOptions): AsyncGenerator<Exported[]> {
  const { db, userIds, withSecrets, reason } = options
  for await (const page of userIds === null ? exportedUsers(db) : [userIds]) {
    const accounts = await selectAccounts.all(db, { userIds: page.filter((id) => /^[0-9a-f-]{36}$/.test(id)) })
    const ids = accounts.map(({ id }) => id)
    if (ids.length === 0) continue
    await recordExported(db, ids, { actorId: 'command line', agent: 'command line', reason })
    const factors = await readExport(options, ids, withSecrets)
    yield accounts.map((account) => {
      const {
        id, username, firstName, lastName, phone, passwordHash, setupRequired, createdAt, hasReferences, oauthProfiles, ...facts
      } = account
      const { record, faults } = factors.get(id)!
      const hash = asExported(passwordHash)
      return {
        username,
        faults: [...faults, ...withoutPlace(hasReferences, oauthProfiles)],
        record: {
          username,
          externalId: id,
          ...facts,
          profile: { firstName, lastName, phone },
          createdAt: createdAt.toISOString(),
          ...(setupRequired ? { owesFactor: true } : {}),
          ...(withSecrets && hash !== null ? { passwordHash: hash } : {}),
          ...record
        }
      }
    })
  }
}

/** Names the data of an account for which the format has no field. */
function withoutPlace (hasReferences: boolean, oauthProfiles: number): string[] {
  return [
    ...(hasReferences ? ['the references to accounts elsewhere stay behind: the format has none'] : []),
    ...(oauthProfiles > 0 ? [`${oauthProfiles} profiles of other services stay behind: the format has none`] : [])
  ]
}
