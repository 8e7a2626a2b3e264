import { expressionBuilder, type Expression, type QueryCreator } from 'kysely'
import type { Tables } from '../../tables/db.js'
import type { Facts } from '../../tables/statement.js'
import { textOf, type Now } from '../../tables/values.js'
import type { SessionKey } from '../statements.js'

const values = expressionBuilder<Tables>()

/** Digest of a session id, as stored in `otp_ended_session`. Session ids are not secret; the digest gives rows of one size. */
const digestOf = (userId: Expression<string>, sessionId: Expression<string>) =>
  values.fn<Buffer>('sha256', [values.fn('convert_to', [values(values(userId, '||', ':'), '||', sessionId), values.val('UTF8')])])

/** Condition: the id is of an ended session whose row was deleted. */
export const isEndedId = ({ userId, sessionId }: SessionKey) => values.exists(values.selectFrom('otp_ended_session as e')
  .where('e.user_id', '=', userId).where('e.digest', '=', digestOf(textOf(userId), textOf(sessionId)))).$castTo<boolean>()

/** Stores the digests of deleted sessions at a host, in a CTE. @param removed CTE of the deleted rows */
export function withDigests<With> (
  db: QueryCreator<With>, { hasAccounts }: Pick<Facts, 'hasAccounts'>, removed: keyof With & string
): QueryCreator<With> {
  if (hasAccounts) return db
  return (db as unknown as QueryCreator<Tables & { removed: { user_id: string, id: string, ended_at: Date | null } }>)
    .with('digests', (db) => db.insertInto('otp_ended_session').columns(['user_id', 'digest', 'ended_at'])
      .expression((eb) => eb.selectFrom(`${removed} as s` as 'removed as s')
        .select((eb) => ['s.user_id', digestOf(eb.ref('s.user_id'), eb.ref('s.id')).as('digest'), eb.ref('s.ended_at').$notNull().as('at')])
        .where('s.ended_at', 'is not', null))
      .onConflict((oc) => oc.columns(['user_id', 'digest']).doNothing())) as unknown as QueryCreator<With>
}

/** Stores the digest of one id in a CTE beside `now`, unless its session has a row. */
export function withKeptDigest<With> (db: QueryCreator<With>, { userId, sessionId }: SessionKey): QueryCreator<With> {
  return (db as unknown as QueryCreator<Tables & { now: Now }>)
    .with('kept', (db) => db.insertInto('otp_ended_session').columns(['user_id', 'digest', 'ended_at'])
      .expression((eb) => eb.selectFrom('now')
        .select([textOf(userId).as('user_id'), digestOf(textOf(userId), textOf(sessionId)).as('digest'), 'now.at'])
        .where((eb) => eb.not(eb.exists(eb.selectFrom('otp_session as s').where('s.user_id', '=', userId).where('s.id', '=', sessionId)))))
      .onConflict((oc) => oc.columns(['user_id', 'digest']).doNothing())) as unknown as QueryCreator<With>
}
