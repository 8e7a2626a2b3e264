import { expressionBuilder, sql } from 'kysely'
import type { Requester } from '../core/session.js'
import { event } from '../events/insert.js'
import { livingSession } from '../sessions/statements.js'
import { now } from '../tables/values.js'
import { row, type Db, type Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { timeAs } from '../tables/values.js'

/** Number of external accounts that one user may link. Imported users may have more. */
export const MOST_PROFILES = 20

/** External account as shown: without its credentials. */
export interface OauthProfile {
  id: string
  oauthServiceName: string
  oauthUrl: string
  createdAt: Date
}

const profile = expressionBuilder<Tables, 'account_oauth_profile'>()
const shownColumns = [
  profile.ref('id').as('id'), profile.ref('service_name').as('oauthServiceName'), profile.ref('url').as('oauthUrl'),
  timeAs(profile.ref('created_at'), 'createdAt')
] as const
const shown = sql.join(shownColumns)

const selectProfiles = statement('list_oauth_profiles', (db, p: Parameters<{ userId: string }>) => db
  .selectFrom('account_oauth_profile').select(shownColumns).where('user_id', '=', p.userId).orderBy('created_at').orderBy('id'))

/** Returns a user's external accounts, oldest first. */
export const listOauthProfiles = async (db: Db, userId: string): Promise<OauthProfile[]> => await selectProfiles.all(db, { userId })

export interface NewOauthProfile { id: string, serviceName: string, url: string, sealedCredentials: string }

export type AddedProfile = { outcome: 'added', profile: OauthProfile } | { outcome: 'session_ended' | 'too_many' }

/** Inserts an external account. The user's lock precedes the count, so that concurrent requests cannot pass the limit. */
export async function insertOauthProfile (
  db: Db, requester: Requester, { id, serviceName, url, sealedCredentials }: NewOauthProfile
): Promise<AddedProfile> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    const { userId, sessionId } = requester.context
    await lockUser(tx, userId)
    const found = await row<{ alive: boolean } & (OauthProfile | { id: null })>(tx, sql`
      with ${now},
      requester as (${livingSession(tx, requester)}),
      added as (
        insert into ${table.account_oauth_profile} (user_id, id, service_name, url, credentials, created_at)
        select requester.user_id, ${id}::uuid, ${serviceName}, ${url}, ${sealedCredentials}, now.at from requester, now
        where (select count(*) from ${table.account_oauth_profile} p where p.user_id = ${userId}) < ${MOST_PROFILES}
        returning *
      ),
      ${event(
        tx, { userId: sql`${userId}`, kind: 'oauth_profile_added', sessionId, origin: requester, detail: serviceName }, sql`added, now`
      )}
      select exists (select from requester) as alive, ${shown} from now left join added on true`)
    const { alive, ...profile } = found!
    if (!alive) return { outcome: 'session_ended' }
    return profile.id === null ? { outcome: 'too_many' } : { outcome: 'added', profile }
  })
}

export async function deleteOauthProfile (db: Db, requester: Requester, id: string): Promise<'deleted' | 'session_ended' | 'not_found'> {
  const { table } = db
  const { userId, sessionId } = requester.context
  const found = await row<{ alive: boolean, deleted: boolean }>(db, sql`
    with ${now},
    requester as (${livingSession(db, requester)}),
    deleted as (
      delete from ${table.account_oauth_profile} p using requester where p.user_id = requester.user_id and p.id = ${id}::uuid
      returning p.service_name
    ),
    ${event(db, {
      userId: sql`${userId}`, kind: 'oauth_profile_removed', sessionId, origin: requester, detail: sql`deleted.service_name`
    }, sql`deleted, now`)}
    select exists (select from requester) as alive, exists (select from deleted) as deleted`)
  if (!found!.alive) return 'session_ended'
  return found!.deleted ? 'deleted' : 'not_found'
}
