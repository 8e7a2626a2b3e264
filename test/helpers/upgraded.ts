import { readFile } from 'node:fs/promises'
import pg from 'pg'
import type { App } from './app.js'
import { freshDatabase, type TestDatabase } from './database.js'
import { Person } from './person.js'
import type { Owner } from './teardown.js'

const FOLDER = 'test/fixtures/upgrade'

/** Person of the fixture. */
interface Kept {
  username: string
  password: string
  access: string
  refresh: string | null
  secret: string | null
  recoveryCodes: string[]
  deviceId: string | null
}

type Name = 'ada' | 'recovered' | 'unverified' | 'ended' | 'ben' | 'cyd' | 'dee' | 'guesser' | 'eve'

interface Place {
  /** Time of the dump, by the clock of that database. */
  at: string
  people: Record<Name, Kept> & { usedCode: string, eve: Kept & { firstSecret: string }, gus?: Kept }
}

export interface Fixture {
  commit: string
  keys: Record<'JWT_KEYS' | 'SEAL_KEYS', string>
  namespace: string
  service: Place
  host: Place
}

/** Facts about the databases of an earlier commit; `scripts/upgrade-fixture.js` writes them. */
export const fixture = JSON.parse(await readFile(`${FOLDER}/people.json`, 'utf8')) as Fixture

/** Restores the database of the service or the host. Its clock goes on from the time of the dump. */
export async function restored (t: Owner, place: 'service' | 'host'): Promise<TestDatabase & { url: string }> {
  const db = await freshDatabase(t)
  const client = new pg.Client({ connectionString: db.url })
  await client.connect()
  await client.query(await readFile(`${FOLDER}/${place}.sql`, 'utf8')).finally(() => client.end())
  await db.clock.freeze(new Date(fixture[place].at))
  await db.clock.unfreeze()
  return db
}

/** Returns a person of the fixture at an app, with the tokens and the phone of then. */
export function personOf (app: App, { username, password, secret, access, refresh, recoveryCodes, deviceId }: Kept): Person {
  const phone = { lastStep: 0, ...(secret === null ? {} : { secret: Buffer.from(secret, 'hex') }) }
  return Object.assign(new Person({ app, username, password, phone }), { access, refresh, deviceId, recoveryCodes: [...recoveryCodes] })
}
