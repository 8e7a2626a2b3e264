import { Readable } from 'node:stream'
import { openJsonl } from '../../src/imports/jsonl/source.js'
import type { ImportOptions } from '../../src/imports/importer.js'
import type { App } from './app.js'
import { hotp } from './authenticator.js'
import { importInto, type Imported } from './imports.js'
import { Person } from './person.js'

/** Imports JSON lines from standard input: objects, or texts as they are. */
export async function importLines (
  app: App, lines: ReadonlyArray<object | string>, options: Partial<ImportOptions> = {}
): Promise<Imported> {
  const text = lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('')
  return await importInto(app, await openJsonl('-', null, Readable.from([Buffer.from(text)])), options)
}

/** Imported user, in a session of its own. */
export const mover = (app: App, username: string, password: string): Person =>
  new Person({ app, username, password, phone: { lastStep: 0 } })

export interface App2fa { key: Uint8Array, algorithm?: string, digits?: number, period?: number, t0?: number }

/** Code that an app shows. */
export function shown ({ key, algorithm = 'sha1', digits = 6, period = 30, t0 = 0 }: App2fa, now: Date, offset = 0): string {
  return hotp(key, Math.floor((now.getTime() / 1000 - t0) / period) + offset, digits, algorithm)
}
