import type { FastifyReply, FastifyRequest } from 'fastify'
import { setRefusalHeaders } from '../src/attach/refusal-headers.js'
import { Refusal, SessionEnded, type RefusalCode } from '../src/core/refusals.js'
import { reasonReplaced } from '../src/sessions/replacement.js'
import type { Db } from '../src/tables/db.js'

/** Refusal of a repeated request, by the reason why the operation ended the session. */
type Answers = Readonly<Record<string, RefusalCode | (() => Refusal)>>

/**
 * Returns options of a route that replaces the requesting session. Password managers send requests twice. The second
 * request finds its session ended, and a client that reads 401 would drop the new tokens. It gets the refusal that it would
 * get without that end: the code is used, the device does not exist. Nothing is judged or granted, and any other request of
 * that session is refused with 401.
 *
 * @param applies returns true if the request repeats a finished one, where the reason is not enough
 */
export function onRepeat (
  db: Db, answers: Answers, applies: (request: FastifyRequest, userId: string) => Promise<boolean> = async () => true
) {
  return {
    async errorHandler (error: Error, request: FastifyRequest, reply: FastifyReply): Promise<never> {
      if (!(error instanceof SessionEnded)) throw error
      const reason = await reasonReplaced(db, error.session)
      const code = reason === null ? undefined : answers[reason]
      if (code === undefined || !await applies(request, error.session.userId)) throw error
      // The guard set the headers of the first refusal.
      for (const name of Object.keys(error.headers)) reply.removeHeader(name)
      const refusal = typeof code === 'function' ? code() : new Refusal(code)
      setRefusalHeaders(reply, refusal)
      throw refusal
    }
  }
}
