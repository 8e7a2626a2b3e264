import { hostPath } from './host-app.js'

/** How a client comes in: at the service with a bearer token, at a host with what the host has. */
export interface Door {
  path (url: string): string
  headers (credential: string): Record<string, string>
}

const service: Door = { path: (url) => url, headers: (token) => ({ authorization: `Bearer ${token}` }) }

const HOST_PATHS: Readonly<Record<string, string>> = { '/users': '/app/join', '/token': '/app/enter' }

/** At the app of `host-app.ts`: a cookie, under other paths. */
const host: Door = { path: (url) => HOST_PATHS[url] ?? hostPath(url), headers: (cookie) => ({ cookie: `host=${cookie}` }) }

const hosts = new WeakSet<object>()

export function markHost (app: object): void {
  hosts.add(app)
}

export function doorOf (app: object): Door {
  return hosts.has(app) ? host : service
}
