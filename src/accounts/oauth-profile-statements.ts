import { expressionBuilder } from 'kysely'
import type { Requester } from '../core/session.js'
import { byRequester, requesterValues, withEvent, type RequesterValues } from '../events/insert.js'
import { selectLiving } from '../sessions/statements.js'
import type { Db, Tables } from '../tables/db.js'
import { insertFrom } from '../tables/insert-from.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { textOf, timeAs, typed, withNow } from '../tables/values.js'

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

const selectProfiles = statement('list_oauth_profiles', (db, p: Parameters<{ userId: string }>) => db
  .selectFrom('account_oauth_profile').select(shownColumns).where('user_id', '=', p.userId).orderBy('created_at').orderBy('id'))

/** Returns a user's external accounts, oldest first. */
export const listOauthProfiles = async (db: Db, userId: string): Promise<OauthProfile[]> => await selectProfiles.all(db, { userId })

export interface NewOauthProfile { id: string, serviceName: string, url: string, sealedCredentials: string }

export type AddedProfile = { outcome: 'added', profile: OauthProfile } | { outcome: 'session_ended' | 'too_many' }

const insert = statement('add_oauth_profile', (db, p: Parameters<RequesterValues & NewOauthProfile>, facts) => {
  const added = withNow(db)
    .with('requester', (db) => selectLiving(db, p))
    .with('added', (db) => insertFrom(db, 'account_oauth_profile', (db) => db.selectFrom(['requester', 'now'])
      .where((eb) => eb(eb.selectFrom('account_oauth_profile as o').select((eb) => eb.fn.countAll().as('profiles'))
        .where('o.user_id', '=', p.userId), '<', eb.lit(MOST_PROFILES))), (eb) => ({
      user_id: eb.ref('requester.user_id'),
      id: typed(p.id, 'uuid'),
      service_name: textOf(p.serviceName),
      url: textOf(p.url),
      credentials: textOf(p.sealedCredentials),
      created_at: eb.ref('now.at')
    })).returningAll())
  return withEvent(added, facts, (db) => db.selectFrom(['added', 'now']), () =>
    ({ ...byRequester(p), kind: 'oauth_profile_added', detail: p.serviceName }))
    .selectFrom('now').leftJoin('added', (join) => join.onTrue())
    .select((eb) => [eb.exists(eb.selectFrom('requester')).$castTo<boolean>().as('alive'), ...shownColumns])
})

/** Inserts an external account. The user's lock precedes the count, so that concurrent requests cannot pass the limit. */
export async function insertOauthProfile (db: Db, requester: Requester, profile: NewOauthProfile): Promise<AddedProfile> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, requester.context.userId)
    const { alive, ...added } = (await insert.first(tx, { ...requesterValues(requester), ...profile }))!
    if (!alive) return { outcome: 'session_ended' }
    // No row was inserted.
    return (added.id as string | null) === null ? { outcome: 'too_many' } : { outcome: 'added', profile: added }
  })
}

const remove = statement('delete_oauth_profile', (db, p: Parameters<RequesterValues & { id: string }>, facts) => withEvent(
  withNow(db)
    .with('requester', (db) => selectLiving(db, p))
    .with('deleted', (db) => db.deleteFrom('account_oauth_profile as o').using('requester')
      .whereRef('o.user_id', '=', 'requester.user_id').where('o.id', '=', p.id).returning('o.service_name')),
  facts, (db) => db.selectFrom(['deleted', 'now']), (eb) =>
    ({ ...byRequester(p), kind: 'oauth_profile_removed', detail: eb.ref('deleted.service_name') })
).selectNoFrom((eb) => [
  eb.exists(eb.selectFrom('requester')).$castTo<boolean>().as('alive'),
  eb.exists(eb.selectFrom('deleted')).$castTo<boolean>().as('deleted')
]))

export async function deleteOauthProfile (db: Db, requester: Requester, id: string): Promise<'deleted' | 'session_ended' | 'not_found'> {
  const { alive, deleted } = (await remove.first(db, { ...requesterValues(requester), id }))!
  if (!alive) return 'session_ended'
  return deleted ? 'deleted' : 'not_found'
}
