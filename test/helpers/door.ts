import { hostPath } from './host-app.js'

/** How a client comes in: at the service with a bearer token, at a host with what the host has. */
export interface Door {
  /** A host has no tokens to refresh: its session is there or not. */
  isHost: boolean
  /** How something is made: the service's first clients do it by GET. */
  making: ReadonlyArray<'GET' | 'POST'>
  path (url: string): string
  headers (credential: string): Record<string, string>
}

const service: Door = { isHost: false, making: ['GET', 'POST'], path: (url) => url, headers: (token) => ({ authorization: `Bearer ${token}` }) }

const HOST_PATHS: Readonly<Record<string, string>> = { '/users': '/app/join', '/token': '/app/enter', '/token/revoke': '/app/leave', '/readyz': '/app/healthy' }

/** At the app of `host-app.ts`: a cookie, under other paths. */
const host: Door = { isHost: true, making: ['POST'], path: (url) => HOST_PATHS[url] ?? hostPath(url), headers: (cookie) => ({ cookie: `host=${cookie}` }) }

const hosts = new WeakSet<object>()

export function markHost (app: object): void {
  hosts.add(app)
}

export function doorOf (app: object): Door {
  return hosts.has(app) ? host : service
}
