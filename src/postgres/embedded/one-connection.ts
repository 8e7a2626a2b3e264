import { PostgresDialect, type PostgresPool, type PostgresPoolClient, type PostgresQueryResult } from 'kysely'
import { asRefusal } from '../errors.js'
import type { Pool } from '../pool.js'

/** A database with one connection. */
export interface OneConnection {
  query (text: string, values: unknown[]): Promise<PostgresQueryResult<unknown>>
  /** Called before the first statement of a turn. */
  begin? (): Promise<void>
  /** Called after the last statement of a turn. */
  end? (): void
  close (): Promise<void>
}

export interface TurnPool extends Pool {
  /** Waits for a turn, which lasts until `release`. */
  connect (): Promise<PostgresPoolClient>
}

/** Makes a pool of one connection, which its users take in turn. */
export function takeTurns ({ query, begin, end, close }: OneConnection): TurnPool {
  let turn: Promise<void> = Promise.resolve()
  let waiting = 0
  let closed = false

  const connect = async (): Promise<PostgresPoolClient> => {
    if (closed) throw asRefusal(new Error('PGlite is closed'))
    let pass!: () => void
    const mine = new Promise<void>((resolve) => { pass = resolve })
    const previous = turn
    turn = previous.then(() => mine)
    waiting++
    await previous
    waiting--
    await begin?.().catch((error: unknown) => {
      pass()
      throw asRefusal(error)
    })
    return {
      query: async (text: string, values: readonly unknown[] = []) =>
        await query(text, [...values]).catch((error: unknown) => { throw asRefusal(error) }),
      release () {
        end?.()
        pass()
      }
    } as PostgresPoolClient
  }
  return {
    connect,
    dialect: new PostgresDialect({ pool: { connect, end: async () => {} } as PostgresPool }),
    renew () {},
    stats: () => ({ total: 1, idle: waiting === 0 ? 1 : 0, waiting }),
    async close () {
      closed = true
      await turn
      await close()
    }
  }
}
