import type { FastifyReply, FastifyRequest } from 'fastify'
import { Refusal, SessionEnded, type RefusalCode } from '../src/core/refusals.js'
import { reasonReplaced } from '../src/sessions/replacement.js'
import type { Db } from '../src/tables/db.js'

/** Why a session ended that the operation replaced, and how the same request is refused then. */
type Answers = Readonly<Record<string, RefusalCode>>

/**
 * Options of a route whose operation puts a new session in the place of the asking one. Sent twice, as password managers
 * do, the second request finds its session ended, and a client that reads 401 would drop the new tokens. It is refused
 * as it would be without that end: the code is used, the device is not there. Nothing is judged and nothing is granted,
 * and any other request of that session is refused with 401.
 *
 * @param applies whether the request is one that was done already, where the reason does not say it
 */
export function onRepeat (
  db: Db, answers: Answers, applies: (request: FastifyRequest, userId: string) => Promise<boolean> = async () => true
) {
  return {
    async errorHandler (error: Error, request: FastifyRequest, _reply: FastifyReply): Promise<never> {
      if (!(error instanceof SessionEnded)) throw error
      const reason = await reasonReplaced(db, error.session)
      const code = reason === null ? undefined : answers[reason]
      if (code === undefined || !await applies(request, error.session.userId)) throw error
      throw new Refusal(code)
    }
  }
}
