import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { PostgresPoolClient, PostgresQueryResult } from 'kysely'
import { COMMAND_TURN_MS, GREETING_MS } from '../../timing/limits.js'
import { Refusal } from '../../core/refusals.js'
import type { Pool } from '../pool.js'
import { connectToHolder, type Lock } from './lock.js'
import { onMessage, sendMessage } from './messages.js'
import { takeTurns, type TurnPool } from './one-connection.js'

/*
 * One process has the embedded database. Commands beside a running service send their statements to it, over the socket of its
 * lock, which the owner of DATA_DIR alone can reach. Each turn is one statement or one transaction, among those of the service.
 */

/** First message of the holder. An older holder closes the connection. */
const GREETING = 'countersign-1'

type Request = { type: 'begin' } | { type: 'query', text: string, values: unknown[] } | { type: 'end' }
/** SQLSTATE and constraint, for the caller's own judgement. The rest may contain rows. */
interface ToldError { message: string, code: unknown, constraint: unknown }
type Answer = { result?: PostgresQueryResult<unknown>, error?: ToldError }

/**
 * Runs the statements of other processes in turn with those of this one. A turn that ends without `end`, or lasts longer than
 * COMMAND_TURN_MS, is rolled back.
 *
 * @returns a function that ends all of them
 */
export function shareDatabase (lock: Lock, { connect }: TurnPool): () => void {
  const sockets = new Set<Socket>()
  lock.onConnection((socket) => {
    sockets.add(socket)
    socket.unref()
    socket.on('error', () => {})
    socket.once('close', () => { sockets.delete(socket) })
    serve(socket, connect)
  })
  return () => { for (const socket of sockets) socket.destroy() }
}

function serve (socket: Socket, connect: () => Promise<PostgresPoolClient>): void {
  let client: PostgresPoolClient | undefined
  let overdue: NodeJS.Timeout | undefined
  let last = Promise.resolve()

  async function answer (request: Request): Promise<void> {
    if (request.type === 'begin') {
      client = await connect()
      overdue = setTimeout(() => { socket.destroy() }, COMMAND_TURN_MS)
      sendMessage(socket, {})
    } else if (request.type === 'query') sendMessage(socket, { result: await client!.query(request.text, request.values) })
    else end()
  }

  function end (): void {
    clearTimeout(overdue)
    client?.release()
    client = undefined
  }

  onMessage(socket, (request: Request) => {
    last = last.then(async () => { if (!socket.destroyed) await answer(request) }).catch((error: unknown) => {
      sendMessage(socket, { error: toldError(error) })
    })
  })
  socket.once('close', () => {
    void last.then(async () => {
      await client?.query('rollback', []).catch(() => {})
      end()
    })
  })
  sendMessage(socket, GREETING)
}

function toldError (error: unknown): ToldError {
  const { message, code, constraint } = (error instanceof Refusal ? error.cause ?? error : error) as Error & Omit<ToldError, 'message'>
  return { message, code, constraint }
}

/** Opens the database of the process that has the lock; undefined if that process shares none. */
export async function openShared (dataDir: string): Promise<Pool | undefined> {
  const socket = await connectToHolder(dataDir)
  if (socket === undefined) return undefined
  let receive = (_message: unknown) => {}
  let fail = (_error: Error) => {}
  const received = async () => await new Promise<unknown>((resolve, reject) => {
    receive = resolve
    fail = reject
    if (socket.destroyed) reject(lostError())
  })
  socket.on('error', () => {})
  socket.once('close', () => { fail(lostError()) })
  onMessage(socket, (message: unknown) => { receive(message) })
  socket.setTimeout(GREETING_MS, () => { socket.destroy() })
  if (await received().catch(() => undefined) !== GREETING) {
    socket.destroy()
    return undefined
  }
  socket.setTimeout(0)

  async function ask (request: Request): Promise<Answer> {
    sendMessage(socket!, request)
    const answer = await received() as Answer
    if (answer.error !== undefined) throw Object.assign(new Error(answer.error.message), answer.error)
    return answer
  }
  return takeTurns({
    begin: async () => { await ask({ type: 'begin' }) },
    query: async (text, values) => (await ask({ type: 'query', text, values })).result!,
    end () { sendMessage(socket, { type: 'end' } satisfies Request) },
    async close () {
      if (socket.closed) return
      const closed = once(socket, 'close')
      socket.end()
      await closed
    }
  })
}

const lostError = () => new Error('Connection terminated by the service that has the embedded database')
