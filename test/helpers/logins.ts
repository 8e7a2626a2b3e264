import type { LightMyRequestResponse } from 'fastify'
import type { App } from './app.js'

/** Lets a test set the address of a request: `app.inject` itself comes from this address. */
export const behindProxy = { TRUSTED_PROXIES: '127.0.0.1' }

/** Sends one log-in from an address, to an app that is `behindProxy`. */
export async function logInFrom (app: App, from: string, username: string, password: string): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'POST', url: '/token', headers: { 'x-forwarded-for': from }, payload: { username, password } })
}

/** Returns a different address for each number. */
export const address = (n: number): string => `198.51.${n >> 8}.${n & 255}`
