import type { InjectOptions } from 'fastify'
import type { App } from './app.js'

interface Requester {
  body?: object
  /** An access token; null sends none. */
  access?: string | null
  headers?: Record<string, string>
}

export interface Answered {
  status: number
  headers: Headers
  text: string
  /** Parses the text as JSON. */
  json: () => any
}

/** Sends JSON over a real connection; returns status and text. @throws if there is no answer */
export async function call (base: string, method: string, path: string, { body, access, headers }: Requester = {}): Promise<Answered> {
  const answer = await fetch(base + path, {
    method,
    headers: {
      ...headers,
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(access ? { authorization: `Bearer ${access}` } : {})
    },
    ...(body ? { body: JSON.stringify(body) } : {})
  })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, text, json: () => JSON.parse(text) }
}

/**
 * Adapts the service at an address for `Person`, over the network. It has no test clock: codes are `totp(secret, stepAt(new
 * Date()))`.
 */
export function appAt (base: string): App {
  async function inject ({ method = 'GET', url, headers, payload }: InjectOptions) {
    const answer = await call(base, method, String(url), {
      headers: headers as Record<string, string>,
      ...(payload === undefined ? {} : { body: payload as object })
    })
    return { statusCode: answer.status, headers: Object.fromEntries(answer.headers), body: answer.text, json: answer.json }
  }
  return { inject } as unknown as App
}
