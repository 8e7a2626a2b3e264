import { expressionBuilder, type AliasedExpression, type Expression, type QueryCreator } from 'kysely'
import { isAddressed } from '../core/network.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Facts, type Parameters } from '../tables/statement.js'
import { earlier, textOf, typed, unnested, withNow, type Now } from '../tables/values.js'

/** A network stays known for so long without a new session there. */
export const KNOWN_NETWORK_DAYS = 30
const KNOWN_NETWORK_SECONDS = KNOWN_NETWORK_DAYS * 24 * 3600
/** Most known networks of an account: the ones of its newest sessions. */
const MOST_KNOWN = 20

/** Relation of at most one row: an account, and if it has a second factor. */
export interface Person { id: string, has_factor: boolean }

const values = expressionBuilder<Tables & { now: Now, person: Person }>()

/**
 * Condition beside `now`, true if a network is known to an account: a session was verified there, or began there and the user
 * has no second factor.
 */
export const isKnownTo = (network: Expression<string>, person: AliasedExpression<Person, 'person'> | 'person' = 'person') =>
  values.exists(values.selectFrom([person as 'person', 'now'])
    .innerJoinLateral((eb) => eb.selectFrom('account_network as n').select(['n.network', 'n.verified'])
      .where('n.user_id', '=', eb.cast<string>('person.id', 'text'))
      .where((eb) => eb('n.last_login_at', '>', earlier(eb.ref('now.at'), KNOWN_NETWORK_SECONDS)))
      .orderBy('n.last_login_at', 'desc').limit(eb.lit(MOST_KNOWN)).as('recent'), (join) => join.onTrue())
    .where('recent.network', '=', network)
    .where((eb) => eb.or([eb.ref('recent.verified'), eb.not(eb.ref('person.has_factor'))]))).$castTo<boolean>()

const account = expressionBuilder<Tables & { a: Tables['account'], u: Tables['otp_user'] }, 'a' | 'u'>()
/** Condition on an account `a` and its otp_user `u`: true if the user has a second factor, or must set one up first. */
export const hasFactor = account.or([
  account.ref('u.setup_required'),
  account.exists(account.selectFrom('otp_device as d').where('d.confirmed_at', 'is not', null)
    .where('d.user_id', '=', account.cast<string>('a.id', 'text')))
]).$castTo<boolean>()

/** Returns the value of `withRemembered` for a network; null for one that has no address, which is never known. */
export const addressed = (network: string): string | null => isAddressed(network) ? network : null

/**
 * Makes the network of a session known, in CTEs beside `now`; in none if a host has the users. At most `MOST_KNOWN` networks are
 * kept, and none for longer than `KNOWN_NETWORK_DAYS`.
 *
 * @param sessions a CTE with a row (user_id) if the session makes its network known
 * @param network result of `addressed`
 * @param verified true if the session is verified; otherwise the user has no second factor
 */
export function withRemembered<With> (
  db: QueryCreator<With>, { hasAccounts }: Pick<Facts, 'hasAccounts'>, sessions: keyof With & string, network: string | null,
  verified: boolean | Expression<boolean>
): QueryCreator<With> {
  if (!hasAccounts) return db
  const from = `${sessions} as s` as 'remembering as s'
  return (db as unknown as QueryCreator<Tables & { now: Now, remembering: { user_id: string } }>)
    .with('remembered', (db) => db.insertInto('account_network').columns(['user_id', 'network', 'last_login_at', 'verified'])
      .expression((eb) => eb.selectFrom([from, 'now'])
        .select([
          's.user_id', textOf(network).as('network'), 'now.at', typed(verified, 'boolean').as('verified')
        ])
        .where(textOf(network), 'is not', null))
      .onConflict((oc) => oc.columns(['user_id', 'network']).doUpdateSet((eb) => ({
        last_login_at: eb.ref('excluded.last_login_at'),
        verified: eb.or([eb.ref('account_network.verified'), eb.ref('excluded.verified').$castTo<boolean>()]).$castTo<boolean>()
      }))))
    .with('forgotten', (db) => db.deleteFrom('account_network as n').using([from, 'now'])
      .whereRef('n.user_id', '=', 's.user_id').where('n.network', '<>', network as string)
      .where((eb) => eb.or([
        eb('n.last_login_at', '<', earlier(eb.ref('now.at'), KNOWN_NETWORK_SECONDS)),
        eb('n.network', 'in', eb.selectFrom('account_network as o').select('o.network')
          .whereRef('o.user_id', '=', 's.user_id').where('o.network', '<>', network as string)
          .orderBy('o.last_login_at', 'desc').offset(eb.lit(MOST_KNOWN - 1)))
      ]))) as unknown as QueryCreator<With>
}

export interface AskedNetwork { usernameKey: string, network: string }

interface AskedLists { usernameKeys: string[], networks: string[], places: number[] }

const selectKnown = statement('are_known', (db, p: Parameters<AskedLists>) => withNow(db)
  .with('asked', (db) => db.selectFrom(unnested('asked', {
    username_key: ['text', p.usernameKeys], network: ['text', p.networks], place: ['integer', p.places]
  })).selectAll())
  .selectFrom('asked').select((eb) => isKnownTo(eb.ref('asked.network'), eb
    .selectFrom('account as a').innerJoin('otp_user as u', (join) => join.on('u.user_id', '=', account.cast<string>('a.id', 'text')))
    .select(['a.id', hasFactor.as('has_factor')]).whereRef('a.username_key', '=', 'asked.username_key').as('person')).as('isKnown'))
  .orderBy('asked.place'))

/** Returns for each name, existing or not, if the network is known to its account. */
export async function areKnown (db: Db, asked: readonly AskedNetwork[]): Promise<boolean[]> {
  const found = await selectKnown.all(db, {
    usernameKeys: asked.map(({ usernameKey }) => usernameKey),
    networks: asked.map(({ network }) => network),
    places: [...asked.keys()]
  })
  return found.map(({ isKnown }) => isKnown)
}

/**
 * Deletes the known networks of a user, but one, in a CTE: after a change of credentials, if `changed` has a row.
 *
 * @param changed a CTE
 */
export function withForgotten<With> (
  db: QueryCreator<With>, changed: keyof With & string, userId: string, except: string | null = null
): QueryCreator<With> {
  return (db as unknown as QueryCreator<Tables & { changed: object }>)
    .with('forgotten', (db) => db.deleteFrom('account_network as n').where('n.user_id', '=', userId)
      .where('n.network', 'is distinct from', except)
      .where((eb) => eb.exists(eb.selectFrom(changed as 'changed')))) as unknown as QueryCreator<With>
}
