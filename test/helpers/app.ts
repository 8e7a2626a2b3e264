import { randomBytes } from 'node:crypto'
import { CompiledQuery } from 'kysely'
import { insideOf } from '../../src/attach/inside.js'
import type { CountersignOptions } from '../../plugins/countersign.js'
import type { buildApp, Overrides } from '../../src/app.js'
import { installClock, SEARCH_PATH, type Query, type TestClock } from './clock.js'
import { freshDatabase, type TestDatabase } from './database.js'
import { markHost } from './door.js'
import { embeddedDataDir } from './embedded-data.js'
import { freshKeys, type Settings } from './settings.js'
import { stores } from './stores.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

export type App = Awaited<ReturnType<typeof buildApp>>

export interface Fresh {
  app: App
  db: TestDatabase
  clock: TestClock
  /** Environment variables, as `readConfig` took them. */
  settings: Settings
  /** A second instance on the same database, Redis and keys: a replica. */
  another (settings?: Settings): Promise<App>
}

export interface FreshOptions {
  /** A database that is already there; a proxy before it goes into the setting `DATABASE_URL`. */
  db?: TestDatabase
  /** Redis keys of this app; its own by default, so that test files do not meet. */
  namespace?: string
  /** Instead of the service's own: one that waits when it is told to. */
  hasher?: NonNullable<Overrides['hasher']>
}

const clocks = new WeakMap<object, TestClock>()
/** Ends the following of that clock. */
const unfollow = new WeakMap<object, () => void>()

/** The clock that an app of `freshApp` goes by. */
export function clockOf (app: object): TestClock {
  const clock = clocks.get(app)
  if (clock === undefined) throw new Error('Not an app of freshApp')
  return clock
}

/**
 * The service, not listening, on a database and a Redis namespace of its own. On the real stores where there are any,
 * else embedded, and always embedded with the setting `DATABASE_URL: ''`. Network limits are off unless set.
 */
export async function freshApp (t: Owner, settings: Settings = {}, options: FreshOptions = {}): Promise<Fresh> {
  if (process.env['COUNTERSIGN_TEST_ATTACHED'] === '1') return await freshHost(t, settings, options)
  const { databaseUrl, redisUrl } = await stores()
  const isEmbedded = settings['DATABASE_URL'] === '' || (options.db === undefined && databaseUrl === undefined)
  const served = isEmbedded ? undefined : options.db ?? await freshDatabase(t)
  const namespace = options.namespace ?? `test_${randomBytes(6).toString('hex')}`
  const all: Settings = {
    PORT: '0',
    LOG_LEVEL: 'silent',
    NETWORK_LIMITS: 'off',
    ...freshKeys(settings['JWT_ALG']),
    DATA_DIR: isEmbedded ? await embeddedDataDir(t) : await temporaryFolder(t),
    ...(served?.url === undefined ? {} : { DATABASE_URL: served.url }),
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
    ...settings
  }

  const overrides: Overrides = { namespace, ...(options.hasher === undefined ? {} : { hasher: options.hasher }) }
  const app = await start(t, all, overrides)
  const db = served ?? await embeddedDatabase(app)
  adopt(app, db.clock)
  return {
    app,
    db,
    clock: db.clock,
    settings: all,
    async another (more = {}) {
      if (isEmbedded) throw new Error("An embedded database has one process: put await need('postgres') at the top of the file")
      const replica = await start(t, { ...all, ...more }, overrides)
      adopt(replica, db.clock)
      return replica
    }
  }
}

async function start (t: Owner, settings: Settings, overrides: Overrides): Promise<App> {
  const { buildApp } = await import('../../src/app.js')
  const { readConfig } = await import('../../src/config/config.js')
  const app = await buildApp(readConfig(settings), overrides)
  app.addHook('preClose', async () => unfollow.get(app)?.())
  t.teardown(() => app.close())
  await app.ready()
  return app
}

/** Between polls a replica keeps the database's clock by itself: tell it when a test moves that, until it closes. */
function adopt (app: App, clock: TestClock): void {
  clocks.set(app, clock)
  unfollow.set(app, clock.follow(() => insideOf(app).sessions.poll()))
}

/** PGlite lives in the app's process, so its clock is put there through the app's own, single connection. */
async function embeddedDatabase (app: App): Promise<TestDatabase> {
  const query = (async (text, values = []) => {
    const { rows } = await app.database.kysely.executeQuery(CompiledQuery.raw(text, [...values]))
    return rows
  }) as Query
  const clock = await installClock(query)
  await query(`set search_path = ${SEARCH_PATH}`)
  return { query, clock }
}

/** What settings of the service are called at an attached host. */
const SETTINGS: Readonly<Record<string, string>> = { OTP_WINDOW: 'window', OTP_SETUP_SECONDS: 'setupSeconds', OTP_REAUTH_SECONDS: 'reauthSeconds', OTP_FRESH_SECONDS: 'freshSeconds', OTP_RECOVERY_CODES: 'recoveryCodes' }

export interface FreshHost extends Fresh {
  /** A replica that does some things otherwise. */
  anotherHost (options: Partial<CountersignOptions>): Promise<App>
}

/** For the files in test/attached: the same, with an app that is nothing like the service (`host-app.ts`). */
export async function freshHost (t: Owner, settings: Settings = {}, options: FreshOptions = {}): Promise<FreshHost> {
  const { buildHost } = await import('./host-app.js')
  const { redisUrl } = await stores()
  const db = options.db ?? await freshDatabase(t)
  const namespace = options.namespace ?? `test_${randomBytes(6).toString('hex')}`
  const all: Settings = {
    ...freshKeys(),
    OTP_ISSUER: 'Acme',
    ...(db.url === undefined ? {} : { DATABASE_URL: db.url }),
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
    ...settings
  }
  async function open (own: Settings, more: Partial<CountersignOptions> = {}): Promise<App> {
    const numbers = Object.entries(own).filter(([name]) => name in SETTINGS).map(([name, value]) => [SETTINGS[name]!, Number(value)])
    const host = await buildHost(t, {
      databaseUrl: own['DATABASE_URL']!,
      redisUrl: own['REDIS_URL'],
      options: { issuer: own['OTP_ISSUER']!, sealKeys: own['SEAL_KEYS']!, namespace, settings: Object.fromEntries(numbers), ...more }
    }) as App
    markHost(host)
    adopt(host, db.clock)
    return host
  }
  const app = await open(all)
  return { app, db, clock: db.clock, settings: all, another: (more = {}) => open({ ...all, ...more }), anotherHost: (more) => open(all, more) }
}
