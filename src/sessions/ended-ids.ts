import { sql, type RawBuilder } from 'kysely'
import type { Db } from '../tables/db.js'

/** Digest of a session id, as stored in `otp_ended_session`. Session ids are not secret; the digest gives rows of one size. */
const sessionDigest = (userId: RawBuilder<unknown>, sessionId: RawBuilder<unknown>) => sql`
  sha256(convert_to(${userId} || ':' || ${sessionId}, 'UTF8'))`

/** Digest value of the row that marks a user as forgotten. */
const FORGOTTEN = sql`''::bytea`

/** Condition: the id is of an ended session whose row was deleted. */
export const isEndedId = ({ table }: Db, userId: string, sessionId: string) => sql`exists (
  select from ${table.otp_ended_session} e
  where e.user_id = ${userId} and e.digest = ${sessionDigest(sql`${userId}::text`, sql`${sessionId}::text`)})`

/** Condition: the user was forgotten after this proof. A proof of unknown age counts as older. */
export const isForgotten = ({ table }: Db, userId: string, authTime: number | null) => sql`exists (
  select from ${table.otp_ended_session} e
  where e.user_id = ${userId} and e.digest = ${FORGOTTEN} and e.ended_at > to_timestamp(${authTime ?? 0}::float8))`

/** Part of a statement beside `now`: marks the user as forgotten. Returns `ended_at`, the end of the current second. */
export const markForgotten = ({ table }: Db, userId: string) => sql`
  insert into ${table.otp_ended_session} as e (user_id, digest, ended_at)
  select ${userId}, ${FORGOTTEN}, date_trunc('second', now.at) + interval '1 second' from now
  on conflict (user_id, digest) do update set ended_at = greatest(e.ended_at, excluded.ended_at)
  returning ended_at`

/** Part of a statement that stores the digests of sessions when they are deleted. @param removed CTE of the deleted rows */
export const keptDigests = ({ table }: Db, removed: RawBuilder<unknown>) => sql`
  insert into ${table.otp_ended_session} (user_id, digest, ended_at)
  select user_id, ${sessionDigest(sql`user_id`, sql`id`)}, ended_at from ${removed} where ended_at is not null
  on conflict (user_id, digest) do nothing`

/** Part of a statement beside `now` that stores the digest of one id, unless its session has a row. */
export const keptDigest = ({ table }: Db, userId: string, sessionId: string) => sql`
  insert into ${table.otp_ended_session} (user_id, digest, ended_at)
  select ${userId}, ${sessionDigest(sql`${userId}::text`, sql`${sessionId}::text`)}, now.at from now
  where not exists (select from ${table.otp_session} s where s.user_id = ${userId} and s.id = ${sessionId})
  on conflict (user_id, digest) do nothing`
