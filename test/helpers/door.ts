import { hostPath } from './host-app.js'

/** Access of a client: a bearer token at the service, the host's own credential at a host. */
export interface Door {
  /** A host has no tokens to refresh: its session is live or not. */
  isHost: boolean
  /** Methods that create something: the service's first clients use GET. */
  making: ReadonlyArray<'GET' | 'POST'>
  path (url: string): string
  headers (credential: string): Record<string, string>
}

export const service: Door = {
  isHost: false, making: ['GET', 'POST'], path: (url) => url, headers: (token) => ({ authorization: `Bearer ${token}` })
}

const HOST_PATHS: Readonly<Record<string, string>> = {
  '/users': '/app/join', '/token': '/app/enter', '/token/revoke': '/app/leave', '/readyz': '/app/healthy'
}

/** The app of `host-app.ts` uses a cookie and other paths. */
export const host: Door = {
  isHost: true,
  making: ['POST'],
  path: (url) => HOST_PATHS[url] ?? hostPath(url),
  headers: (cookie) => ({ cookie: `host=${cookie}` })
}

const hosts = new WeakSet<object>()

export function markHost (app: object): void {
  hosts.add(app)
}

export function doorOf (app: object): Door {
  return hosts.has(app) ? host : service
}
