import { sql, type RawBuilder } from 'kysely'
import type { Db } from '../tables/db.js'

/** Digest of a session id, as `otp_ended_session` keeps it. Ids are names, not secrets; the digest makes rows of one size. */
const sessionDigest = (userId: RawBuilder<unknown>, sessionId: RawBuilder<unknown>) => sql`
  sha256(convert_to(${userId} || ':' || ${sessionId}, 'UTF8'))`

/** The digest of the mark that a user was forgotten. */
const FORGOTTEN = sql`''::bytea`

/** A condition: the id is that of an ended session whose row is no longer kept. */
export const isEndedId = ({ table }: Db, userId: string, sessionId: string) => sql`exists (
  select from ${table.otp_ended_session} e
  where e.user_id = ${userId} and e.digest = ${sessionDigest(sql`${userId}::text`, sql`${sessionId}::text`)})`

/** A condition: the user was forgotten after that proof. One of unknown age is from before. */
export const isForgotten = ({ table }: Db, userId: string, authTime: number | null) => sql`exists (
  select from ${table.otp_ended_session} e
  where e.user_id = ${userId} and e.digest = ${FORGOTTEN} and e.ended_at > to_timestamp(${authTime ?? 0}::float8))`

/** The part of a statement that marks the user as forgotten, beside `now`: returns `ended_at`, at the end of this second. */
export const markForgotten = ({ table }: Db, userId: string) => sql`
  insert into ${table.otp_ended_session} as e (user_id, digest, ended_at)
  select ${userId}, ${FORGOTTEN}, date_trunc('second', now.at) + interval '1 second' from now
  on conflict (user_id, digest) do update set ended_at = greatest(e.ended_at, excluded.ended_at)
  returning ended_at`

/** The part of a statement that keeps the digests of sessions as they are deleted. @param removed CTE of their rows */
export const keptDigests = ({ table }: Db, removed: RawBuilder<unknown>) => sql`
  insert into ${table.otp_ended_session} (user_id, digest, ended_at)
  select user_id, ${sessionDigest(sql`user_id`, sql`id`)}, ended_at from ${removed} where ended_at is not null
  on conflict (user_id, digest) do nothing`
