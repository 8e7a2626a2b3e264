import type { LightMyRequestResponse } from 'fastify'
import type { App } from './app.js'

/** Lets a test say where a request comes from: `app.inject` itself comes from there. */
export const behindProxy = { TRUSTED_PROXIES: '127.0.0.1' }

/** One log-in from an address, at an app that is `behindProxy`. */
export async function logInFrom (app: App, from: string, username: string, password: string): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'POST', url: '/token', headers: { 'x-forwarded-for': from }, payload: { username, password } })
}

/** An address of its own for each number. */
export const address = (n: number): string => `198.51.${n >> 8}.${n & 255}`
