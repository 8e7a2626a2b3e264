import { expressionBuilder, type Expression, type QueryCreator, type Selectable, type SelectQueryBuilder } from 'kysely'
import { mailedKinds } from './mail/kinds.js'
import type { EventKind } from './kinds.js'
import type { Origin, Requester } from '../core/session.js'
import type { Db, Tables } from '../tables/db.js'
import type { BuilderOf } from '../tables/insert-from.js'
import { placed, statement, type Facts, type Parameters } from '../tables/statement.js'
import { earlier, later, textOf, typed, unnested, withNow, type Now } from '../tables/values.js'

/** Most events of one kind that a user causes in an hour as lines of their own; then one line counts the others. */
const EVENTS_AN_HOUR = 60
/** Age after which a delivery is not tried again; each one is tried once, for as long as its event is kept. */
const DELIVERY_SECONDS = 24 * 3600
const MAIL_DELIVERY_SECONDS = 72 * 3600
const HOUR_SECONDS = 3600

type Text<Value extends string | null = string | null> = Value | Expression<Value>

/** Columns of an event: values of this process, placeholders of them, or expressions over the rows of the decision. */
export interface EventColumns {
  userId: Text
  kind: EventKind | Expression<string>
  sessionId: Text
  ip: Text<string>
  agent: Text<string>
  deviceName?: Text
  /** Id of the actor, if it is not the user. */
  actorId?: Text
  detail?: Text
}

/** Values of a statement that tell which session asked for it, and from where. */
export interface RequesterValues { userId: string, sessionId: string, ip: string, agent: string }

export const requesterValues = ({ context: { userId, sessionId }, ip, agent }: Requester): RequesterValues =>
  ({ userId, sessionId, ip, agent })

/** The columns of an event that they fill. The values of a statement are placeholders, which cannot be spread. */
export const byRequester = ({ userId, sessionId, ip, agent }: RequesterValues) => ({ userId, sessionId, ip, agent })

const eventColumns = ['user_id', 'at', 'id', 'kind', 'session_id', 'ip', 'agent', 'device_name', 'actor_id', 'detail'] as const

type Event = Selectable<Tables['otp_event']>
type Line = Pick<Event, typeof eventColumns[number]>
type Lines = Pick<Event, typeof eventColumns[number] | 'count'>
/** Names of the CTEs of an event; another name of an event stands in their place. */
interface EventCtes {
  event: Pick<Event, 'user_id' | 'at' | 'id' | 'kind' | 'count'>
  event_made: Line
  event_numbered: Pick<Selectable<Tables['otp_event_counter']>, 'line_at' | 'line_id'>
}

const values = expressionBuilder<{ now: Now }, 'now'>()

/** Where a `Db` is watched, the watch gives the event its id. */
const eventId = () => values.fn.coalesce(typed<string>(placed(({ watch }) => watch?.newId() ?? null) as string, 'uuid'),
  values.fn<string>('gen_random_uuid'))

/** The columns of an event, in their order. */
const lineOf = ({ userId, kind, sessionId, ip, agent, deviceName = null, actorId = null, detail = null }: EventColumns) => [
  textOf(userId).as('user_id'), values.ref('now.at').as('at'), eventId().as('id'), textOf<string>(kind).as('kind'),
  textOf(sessionId).as('session_id'), textOf(ip).as('ip'), textOf(agent).as('agent'), textOf(deviceName).as('device_name'),
  textOf(actorId).as('actor_id'), textOf(detail).as('detail')
] as const

const delivery = expressionBuilder<Tables & { e: EventCtes['event'], to: { destination: string } }, 'e' | 'to'>()
/** Condition on an event `e` and a destination: only some kinds are mailed, and only to an address that is verified and takes mail. */
const isMailable = delivery.or([
  delivery('to.destination', '<>', 'mail'),
  delivery.and([
    delivery('e.kind', '=', delivery.fn.any(typed([...mailedKinds] as string[], 'text[]'))),
    delivery.exists(delivery.selectFrom('account as a').where('a.id', '=', delivery.cast<string>('e.user_id', 'uuid'))
      .where('a.email_verified_at', 'is not', null).where('a.email_stopped_at', 'is', null))
  ])
])

/**
 * The one insert of events: CTEs beside `now`. An event and its deliveries, one for each destination, belong to the transaction of
 * the decision. A line that counts events is delivered once.
 *
 * Events go into `otp_event_current`, a child of `otp_event`: PostgreSQL would spend a third as much again on the statement if it
 * had to choose among the tables of all months.
 */
function insertLines<With> (
  db: QueryCreator<With>, { destinations, hasAccounts }: Facts, lines: (db: QueryCreator<Tables & EventCtes>) => Expression<Lines>,
  name: string
): QueryCreator<With> {
  const event = name as 'event'
  const inserted = (db as unknown as QueryCreator<Tables & EventCtes & { now: Now }>).with(event, (db) => db.insertInto('otp_event_current')
    .columns([...eventColumns, 'count']).expression(lines(db))
    .onConflict((oc) => oc.columns(['user_id', 'at', 'id']).doUpdateSet((eb) => ({ count: eb('otp_event_current.count', '+', 1) })))
    .returning([
      'otp_event_current.user_id', 'otp_event_current.at', 'otp_event_current.id', 'otp_event_current.kind', 'otp_event_current.count'
    ]))
  const delivered = destinations.length === 0
    ? inserted
    : inserted.with(`${event}_deliveries`, (db) => db.insertInto('otp_delivery')
      .columns(['user_id', 'id', 'event_at', 'event_id', 'destination', 'due_at', 'expires_at', 'created_at'])
      .expression((eb) => eb.selectFrom([
        `${event} as e`, 'now', unnested('to', { destination: ['text', placed(({ destinations }) => destinations)] })
      ]).select((eb) => [
        'e.user_id', eb.fn<string>('gen_random_uuid').as('id'), 'e.at', 'e.id as event_id', 'to.destination', 'now.at as due_at',
        later(eb.ref('e.at'), eb.case().when('to.destination', '=', 'mail').then(eb.lit(MAIL_DELIVERY_SECONDS))
          .else(eb.lit(DELIVERY_SECONDS)).end()).as('expires_at'), 'now.at as created_at'
      ]).where((eb) => eb(eb.fn.coalesce('e.count', eb.lit(1)), '=', eb.lit(1)))
        .$if(hasAccounts, (query) => query.where(isMailable))))
  return delivered as unknown as QueryCreator<With>
}

/** Rows of the decision, `now` among them: one event for each. Without columns. */
type Decided = SelectQueryBuilder<any, any, object>
type ColumnsOf<Rows> = (eb: BuilderOf<Rows>) => EventColumns

/**
 * Writes events that stay lines of their own: acts of staff and of the command line, sign-up, deletion, import. CTEs beside `now`.
 *
 * @param from relations of the decision, `now` among them, and their condition: one event for each row
 * @param name name of the CTE, for a statement that writes two events
 */
export function withSingleEvent<With, Rows extends Decided> (
  db: QueryCreator<With>, facts: Facts, from: (db: QueryCreator<With>) => Rows, columns: ColumnsOf<Rows>, name = 'event'
): QueryCreator<With> {
  const lines = (rows: Decided) => rows
    .select((eb) => [...lineOf(columns(eb as never)), typed<number | null>(null, 'integer').as('count')]) as Expression<unknown>
  return insertLines(db, facts, (db) => lines(from(db as unknown as QueryCreator<With>)) as Expression<Lines>, name)
}

interface Lone { userId: string, kind: EventKind, sessionId: string | null }
type LoneEvent = Lone & { origin: Origin, actorId?: string, detail?: string }
type LoneValues = Lone & Origin & { actorId: string | null, detail: string | null }

const insertOne = statement('write_event', (db, p: Parameters<LoneValues>, facts) => withSingleEvent(
  withNow(db), facts, (db) => db.selectFrom('now'), () => ({
    userId: p.userId, kind: p.kind, sessionId: p.sessionId, ip: p.ip, agent: p.agent, actorId: p.actorId, detail: p.detail
  })).selectFrom('now'))

/** Writes one such event by itself, at the end of a transaction that decided in several statements. */
export async function writeEvent (
  db: Db, { userId, kind, sessionId, origin: { ip, agent }, actorId, detail }: LoneEvent
): Promise<void> {
  await insertOne.all(db, { userId, kind, sessionId, ip, agent, actorId: actorId ?? null, detail: detail ?? null })
}

/**
 * Writes an event that the user caused, in the decision's own statement: CTEs beside `now`, from a relation of at most
 * one row. After `EVENTS_AN_HOUR` of a kind no row is added: the count of one line rises, and that line is notified once.
 *
 * The first event of a kind within an hour costs one look-up. From the second on, a row per user and kind numbers them,
 * which is exact for concurrent statements.
 *
 * @param from relations of the decision, `now` among them, and their condition
 * @param name name of the CTE, for a statement that writes two events
 */
export function withEvent<With, Rows extends Decided> (
  db: QueryCreator<With>, facts: Facts, from: (db: QueryCreator<With>) => Rows, columns: ColumnsOf<Rows>, name = 'event'
): QueryCreator<With> {
  const made = `${name}_made` as 'event_made'
  const numbered = `${name}_numbered` as 'event_numbered'
  const prepared = db.with(made, (db) => from(db).select((eb) => [...lineOf(columns(eb as never))]))
  const counted = (prepared as unknown as QueryCreator<Tables & EventCtes>).with(numbered, (db) => db.insertInto('otp_event_counter')
    .columns(['user_id', 'kind', 'since', 'events', 'line_at', 'line_id'])
    .expression((eb) => eb.selectFrom(`${made} as made`)
      .crossJoinLateral((eb) => eb
        .selectFrom((eb) => eb.selectFrom('otp_event_current as e')
          .whereRef('e.user_id', '=', 'made.user_id').whereRef('e.kind', '=', 'made.kind')
          .where((eb) => eb('e.at', '>', earlier(eb.ref('made.at'), HOUR_SECONDS))).limit(eb.lit(EVENTS_AN_HOUR)).as('few'))
        .select((eb) => eb.cast<number>(eb.fn.countAll(), 'integer').as('events')).as('recent'))
      .select((eb) => [
        'made.user_id', 'made.kind', 'made.at', eb('recent.events', '+', eb.lit(1)).as('number'),
        eb.case().when('recent.events', '>=', eb.lit(EVENTS_AN_HOUR)).then(eb.ref('made.at')).end().as('line_at'), 'made.id'
      ])
      .where('recent.events', '>', eb.lit(0)))
    .onConflict((oc) => oc.columns(['user_id', 'kind']).doUpdateSet((eb) => {
      const isOver = eb('otp_event_counter.since', '<=', earlier(eb.ref('excluded.since'), HOUR_SECONDS))
      const number = eb.case().when(isOver).then(eb.ref('excluded.events'))
        .else(eb.fn<number>('greatest', [eb('otp_event_counter.events', '+', eb.lit(1)), 'excluded.events'])).end()
      const begins = eb.or([isOver, eb('otp_event_counter.line_at', 'is', null)])
      return {
        events: number,
        since: eb.case().when(isOver).then(eb.ref('excluded.since')).else(eb.ref('otp_event_counter.since')).end(),
        line_at: eb.case().when(eb.not(begins)).then(eb.ref('otp_event_counter.line_at'))
          .when(number, '>', eb.lit(EVENTS_AN_HOUR)).then(eb.ref('excluded.since')).end(),
        line_id: eb.case().when(begins).then(eb.ref('excluded.line_id')).else(eb.ref('otp_event_counter.line_id')).end()
      }
    }))
    .returning(['otp_event_counter.line_at', 'otp_event_counter.line_id']))
  return insertLines(counted as unknown as QueryCreator<With>, facts, (db) => db
    .selectFrom(`${made} as made`).leftJoin(`${numbered} as numbered`, (join) => join.onTrue())
    .select((eb) => [
      'made.user_id', eb.fn.coalesce('numbered.line_at', 'made.at').as('at'),
      eb.case().when('numbered.line_at', 'is', null).then(eb.ref('made.id')).else(eb.ref('numbered.line_id').$notNull()).end().as('id'),
      'made.kind', 'made.session_id', 'made.ip', 'made.agent', 'made.device_name', 'made.actor_id', 'made.detail',
      eb.case().when('numbered.line_at', 'is not', null).then(eb.lit(1)).end().as('count')
    ]), name)
}
