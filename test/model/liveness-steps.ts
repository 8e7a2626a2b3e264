import pg from 'pg'
import { createCopies, type Reading } from '../../src/sessions/cache/redis-cache.js'
import { createSessions } from '../../src/sessions/liveness.js'
import { readSessionContext } from '../../src/sessions/statements.js'
import { entries } from '../helpers/redis-entries.js'
import type { Place, Servers } from './liveness-stage.js'
import type { Step } from './spin.js'

/** A tick of the model: a little less than a second, so that `<=` of whole ticks is `<=` of times and `<` is `<`. */
const TICK_MS = 999
const BOUND_SECONDS = 1
const TRUST_MS = 1_000
const USER = 'ada'
const END = 'update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id() where id = $1'
const KEY = Buffer.alloc(32)
const ANOTHER_KEY = Buffer.alloc(32, 1)
/** More ends than one reading names. */
const TOO_MANY = Array.from({ length: 10_001 }, (_, n) => ({ userId: USER, sessionId: `another ${n}`, isOver: true }))

/** Request that waits for the answer to a question. */
interface Waiting { isLate: boolean, isAccepted: Promise<boolean> }

/** Servers, transactions and entries of a run: what is around the replica. */
interface World {
  servers: Servers
  id: string
  primary: 0 | 1
  end: pg.Client | null
  other: pg.Client | null
  /** Reading of "alive" at each server, for entries of another replica. */
  readings: readonly Reading[]
  /** Server of the entry that another replica writes. */
  entryOf: number
  redis: ReturnType<typeof entries>
  /** True while Redis answers the replica. */
  isFound: boolean
}

const nameOf = (url: string): string => new URL(url).pathname.slice(1)

/** Makes the world of a run: the session lives on both servers, server 0 is the primary, and nothing is open. */
async function createWorld (servers: Servers, id: string): Promise<World> {
  const { databases, places } = servers
  for (const { url, query } of databases) {
    await query(`alter database ${nameOf(url)} reset default_transaction_read_only`)
    await query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
      select $1, $2, at, at + interval '1 day', at, '{pwd}', false, at, '', '' from clock_timestamp() at`, [USER, id])
  }
  // The connection of "old 0" is made here, before a demotion; a new one to server 1 fails until its promotion.
  const readings = await Promise.all([places['old 0'], places[1]].map(async (db) => (await readSessionContext(db, USER, id)).reading!))
  await setWrites(servers, 1, false)
  return { servers, id, primary: 0, end: null, other: null, readings, entryOf: 0, redis: entries(), isFound: false }
}

async function setWrites ({ databases, renew }: Servers, server: 0 | 1, isPrimary: boolean): Promise<void> {
  const { url, query } = databases[server]
  await query(`alter database ${nameOf(url)} ${isPrimary ? 're' : ''}set default_transaction_read_only${isPrimary ? '' : ' = on'}`)
  renew()
}

async function begin ({ servers, primary }: World, text: string, values: readonly unknown[]): Promise<pg.Client> {
  const client = new pg.Client(servers.databases[primary].url)
  await client.connect()
  await client.query('begin')
  await client.query(text, [...values])
  return client
}

async function finish (client: pg.Client | null, how: 'commit' | 'rollback'): Promise<null> {
  await client?.query(how)
  await client?.end()
  return null
}

async function failOver (world: World, isKept: boolean): Promise<void> {
  const { servers, id } = world
  world.other = await finish(world.other, 'rollback')
  world.end = await finish(world.end, 'rollback')
  await setWrites(servers, 0, false)
  await setWrites(servers, 1, true)
  world.primary = 1
  if (isKept) await servers.databases[1].query(END, [id])
}

/** Puts an entry into Redis, dated now. */
async function putEntry ({ servers, readings, redis }: World, server: number, key: Buffer): Promise<void> {
  createCopies(redis.link(() => true), 'replay', [key])
    .put({ ...readings[server]!, readAtMs: await servers.nowMs(), trustMs: TRUST_MS })
}

/** Makes the replica of a run, whose statements wait at gates. */
function createReplica (world: World) {
  const { servers, id } = world
  const [poll, pool] = [servers.gate(), servers.gate()]
  const sessions = createSessions({
    db: pool.db,
    pollerDb: poll.db,
    redis: world.redis.link(() => world.isFound),
    namespace: 'replay',
    macKeys: [KEY],
    readingKeys: [KEY],
    revocationSeconds: BOUND_SECONDS,
    report () {}
  })
  const waiting: Waiting[] = []
  /** Place that a new connection leads to; of the same server as before for 2. */
  const placeOf = (server: number): Place | null =>
    server === 2 ? null : server === 1 ? '1' : world.primary === 0 ? 'old 0' : '0'
  /** Answers of the waiting requests. */
  const told = async () => await Promise.all(waiting.splice(0)
    .map(async ({ isLate, isAccepted }) => ({ isLate, isAccepted: await isAccepted })))
  return { sessions, poll, pool, waiting, placeOf, told, id, servers }
}

type Replica = ReturnType<typeof createReplica>

/** Sends a request. @returns where it is answered, or if it asked or joined a question; true if it was accepted */
async function request ({ sessions, pool, waiting, servers, id }: Replica, world: World, isFound: boolean, isLate: boolean) {
  const known = sessions.known(USER, id)
  if (known !== undefined) return { where: known === null ? 'refused' : 'local', isAccepted: known !== null }
  const before = { sent: pool.sent, copy: sessions.state().copy }
  world.isFound = isFound
  const isAccepted = sessions.find(USER, id, null).then((context) => context !== null, () => false)
  await servers.quiet()
  world.isFound = false
  if (sessions.state().copy > before.copy) return { where: 'copy', isAccepted: await isAccepted }
  waiting.push({ isLate, isAccepted })
  return { where: pool.sent > before.sent ? 'asked' : 'joined', isAccepted: false }
}

type Told = Awaited<ReturnType<Replica['told']>>

/** Says what each step of the model is in the world and at the replica. Returns what waiting requests were told. */
function stepsOf (world: World, replica: Replica): Record<string, (...of: number[]) => Promise<Told | void>> {
  const { servers, id } = world
  const { sessions, poll, pool, waiting, placeOf, told } = replica
  let polling: Promise<unknown> = Promise.resolve()

  return {
    tick: () => servers.pass(TICK_MS),
    async beginEnd () { world.end = await begin(world, END, [id]) },
    async commitEnd () { world.end = await finish(world.end, 'commit') },
    async answerEnd () { sessions.ended(USER, [id]) },
    async beginOther () { world.other = await begin(world, 'select pg_current_xact_id()', []) },
    async commitOther () { world.other = await finish(world.other, 'commit') },
    async failover (isKept, hasReading) {
      await failOver(world, isKept === 1)
      // The model assumes that before the first reading no connection outlives a demotion.
      if (hasReading === 0) for (const gate of [poll, pool]) if (gate.place === 'old 0') gate.place = '0'
      // An end that was lost never happened.
      if (isKept === 0) for (const one of waiting) one.isLate = false
    },
    async askPoll () {
      poll.isOpen = true
      polling = sessions.poll().catch(() => {})
      await servers.quiet()
      // The code reads on its own account too, where a question was answered by another server. Such a reading fails here.
      poll.isOpen = false
    },
    async heardPoll (server, isTooMany) {
      poll.next = pool.next = placeOf(server!)
      poll.release(isTooMany === 1 ? (row) => { row['named'] = TOO_MANY } : undefined)
      await polling
      poll.next = pool.next = null
    },
    async losePoll (server) {
      poll.lose()
      await polling
      poll.place = placeOf(server!) ?? poll.place
    },
    async heardQuestion (server) {
      pool.next = placeOf(server!)
      pool.release()
      const all = await told()
      pool.next = null
      return all
    },
    async loseQuestion (server) {
      pool.lose()
      pool.place = placeOf(server!) ?? pool.place
      return await told()
    },
    async askEntry (server) { world.entryOf = server! },
    dateEntry: () => putEntry(world, world.entryOf, KEY),
    forge: () => putEntry(world, world.primary, ANOTHER_KEY)
  }
}

export interface Replayed {
  /** Where each request was answered, or that it asked or joined a question; then what the waiting ones were told. */
  answers: string[]
  /** The same as the model has it. */
  expected: string[]
  /** Requests that were accepted although they began too late. */
  late: number
}

const WHERE = ['local', 'copy', 'asked', 'joined', 'refused', 'dropped']

/** Lines that the model printed in the same step. */
function outcomesOf (steps: readonly Step[], at: number): string[] {
  const rest = steps.slice(at + 1)
  const end = rest.findIndex(({ what }) => ![...WHERE, 'accepted'].includes(what))
  return (end === -1 ? rest : rest.slice(0, end)).map(({ what }) => what)
}

/** Replays a run of model/liveness.pml: calls the code at each step. */
export async function replay (servers: Servers, id: string, steps: readonly Step[]): Promise<Replayed> {
  const world = await createWorld(servers, id)
  const replica = createReplica(world)
  const calls = stepsOf(world, replica)
  const replayed: Replayed = { answers: [], expected: [], late: 0 }
  for (const [at, { what, of }] of steps.entries()) {
    const outcomes = outcomesOf(steps, at)
    if (what === 'request') {
      const expected = outcomes.find((outcome) => WHERE.includes(outcome))
      // The model has one question at a time, and no requests outside of its assumptions.
      if (expected === undefined || expected === 'dropped') continue
      const { where, isAccepted } = await request(replica, world, of[0] === 1, of[1] === 1)
      replayed.expected.push(expected)
      replayed.answers.push(where)
      if (isAccepted && of[1] === 1) replayed.late++
      continue
    }
    const told = await calls[what]?.(...of) ?? []
    replayed.late += told.filter(({ isLate, isAccepted }) => isLate && isAccepted).length
    if (what !== 'heardQuestion') continue
    replayed.expected.push(outcomes.includes('accepted') ? 'accepted' : 'not accepted')
    replayed.answers.push(told.some(({ isAccepted }) => isAccepted) ? 'accepted' : 'not accepted')
  }
  replica.poll.lose()
  replica.pool.lose()
  await finish(world.end, 'rollback')
  await finish(world.other, 'rollback')
  return replayed
}
