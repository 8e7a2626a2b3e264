import type { LightMyRequestResponse } from 'fastify'
import type { CountersignOptions } from '../../plugins/countersign.js'
import { hostPath } from './host-app.js'
import type { App } from './app.js'

/** A host that reads user, session and time of the proof from the request's headers, so that a test can use any value. */
export const fromHeaders: Pick<CountersignOptions, 'identify' | 'label' | 'complete'> = {
  identify ({ headers }) {
    const { user, session, at, proven } = headers as Record<string, string | undefined>
    if (user === undefined || session === undefined) return null
    return {
      userId: user,
      sessionId: session,
      ...(at === undefined ? {} : { authTime: Number(at) }),
      ...(proven === undefined ? {} : { proven: JSON.parse(proven) as { otpDeviceId: string | null, otpTime: number | null } })
    }
  },
  label: (userId) => userId,
  complete: (_request, _reply, { sessionId }) => ({ sessionId, answer: { session: sessionId } })
}

export interface Asker { user: string, session: string, at?: number | null, proven?: object }

/** Sends a request to a host of `fromHeaders`; paths are those of the service. */
export async function askHost (
  app: App, { user, session, at, proven }: Asker, method: 'GET' | 'POST' | 'DELETE', path: string, payload?: object
): Promise<LightMyRequestResponse> {
  const headers = {
    user,
    session,
    ...(at === undefined || at === null ? {} : { at: String(at) }),
    ...(proven === undefined ? {} : { proven: JSON.stringify(proven) }),
    authorization: 'Bearer none'
  }
  return await app.inject({ method, url: hostPath(path), headers, ...(payload === undefined ? {} : { payload }) })
}
