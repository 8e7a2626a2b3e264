import type { Kysely } from 'kysely'
import { secondFactorMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb, type Db, type Tables } from '../../src/tables/db.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import type { Owner } from '../helpers/teardown.js'

/** Place that a connection leads to: server 0, by one from before its demotion or by a new one, or server 1. */
export type Place = 'old 0' | '0' | '1'

/** Statements of one kind: each runs at once, and its answer is held until it is released. */
export interface Gate {
  db: Db
  /** Where the connection leads. */
  place: Place
  /** Where a new connection leads, in the step that is replayed; null if the model has none. */
  next: Place | null
  /** Statements that were sent. */
  sent: number
  /** False if a statement that comes now fails at once. @default true */
  isOpen: boolean
  /** Delivers the answers. @param change changes a row before that */
  release (change?: (row: Record<string, unknown>) => void): void
  /** Loses the answers with their connection. */
  lose (): void
}

interface Held { answer: unknown, deliver: (isLost: boolean) => void }

/** Two servers with one session table each, whose clock and this process's stand still but for `pass`. */
export type Servers = Awaited<ReturnType<typeof twoServers>>

export async function twoServers (t: Owner) {
  const databases = [await freshDatabase(t), await freshDatabase(t)] as const
  const [zero, one] = databases
  // The two databases are on one server: it tells them apart by this time.
  await one.query(`create function test_clock.pg_postmaster_start_time() returns timestamptz language sql immutable
    as $$ select timestamptz '2020-01-01' $$`)
  for (const { url } of databases) {
    const own = openPostgres(url, 1, () => {}, 0)
    await migrateUp(own.dialect, secondFactorMigrations).finally(() => own.close())
  }
  const at = new Date(Math.floor(Date.now()))
  for (const { clock } of databases) await clock.freeze(at)

  const open = (url: string) => {
    const pool = openPostgres(url, 1, () => {})
    t.teardown(() => pool.close())
    return { ...createDb(pool.dialect), renew: pool.renew }
  }
  const places: Record<Place, Db> = { 'old 0': open(zero.url), 0: open(zero.url), 1: open(one.url) }
  const pass = await ownClock(t, databases)
  /** Statements without an answer of their server. */
  const under = { way: 0 }

  function gate (): Gate {
    const held: Held[] = []
    const settle = (isLost: boolean): void => { for (const one of held.splice(0)) one.deliver(isLost) }
    const trace: Db['trace'] = async (_name, _text, run) => {
      if (!made.isOpen) throw new Error('Connection terminated unexpectedly')
      made.sent++
      under.way++
      const answered = run()
      const answer = await answered.catch(() => null).finally(() => { under.way-- })
      const isLost = await new Promise<boolean>((resolve) => { held.push({ answer, deliver: resolve }) })
      if (isLost) throw new Error('Connection terminated unexpectedly')
      return await answered.catch((error: unknown) => {
        // There is no connection: the next statement makes one.
        made.renewed()
        throw error
      })
    }
    const made = {
      place: 'old 0' as Place,
      next: null as Place | null,
      sent: 0,
      isOpen: true,
      renewed (): void { if (made.next !== null) made.place = made.next },
      release (change?: (row: Record<string, unknown>) => void): void {
        for (const { answer } of held) {
          const [row] = (answer as { rows?: Array<Record<string, unknown>> } | null)?.rows ?? []
          if (row !== undefined) change?.(row)
        }
        settle(false)
      },
      lose: () => { settle(true) }
    }
    const db = { ...places['old 0'], trace, renew: made.renewed, get kysely (): Kysely<Tables> { return places[made.place].kysely } }
    return Object.assign(made, { db })
  }

  /** Waits until each statement that was sent has its answer here, released or not. */
  async function quiet (): Promise<void> {
    do await new Promise((resolve) => { setImmediate(resolve) })
    while (under.way > 0)
  }

  /** From now on, a new connection is made where none is from before a demotion. */
  const renew = (): void => { for (const place of ['0', '1'] as const) places[place].renew() }

  return { databases, places, gate, quiet, pass, renew, nowMs: async () => (await zero.clock.now()).getTime() }
}

/** Replaces the monotonic clock of this process. @returns a function that lets time pass here and at the databases */
async function ownClock (t: Owner, databases: readonly TestDatabase[]): Promise<(ms: number) => Promise<void>> {
  let nowMs = performance.now()
  // Two moments of a process are never the same.
  const MOMENT_MS = 1e-6
  const original = performance.now
  performance.now = () => (nowMs += MOMENT_MS)
  t.teardown(() => { performance.now = original })
  return async (ms) => {
    nowMs += ms
    for (const { clock } of databases) await clock.advance(ms / 1000)
  }
}
