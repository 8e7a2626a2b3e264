import { randomBytes } from 'node:crypto'
import { CompiledQuery } from 'kysely'
import { insideOf } from '../../src/attach/inside.js'
import type { CountersignOptions } from '../../plugins/countersign.js'
import type { buildApp, Overrides } from '../../src/app.js'
import { installClock, SEARCH_PATH, type Query, type TestClock } from './clock.js'
import { appDatabase, type TestDatabase } from './database.js'
import { markHost } from './door.js'
import { embeddedDataDir } from './embedded-data.js'
import { freshKeys, type Settings } from './settings.js'
import { stores } from './stores.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

/** Mails are on, so that their operations exist. Nothing listens there: a test of mails has a server of its own. */
export const mailSettings: Settings = {
  MAIL_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'Countersign <countersign@example.org>', PUBLIC_URL: 'https://app.example.org'
}

/** Key of services that follow the revocations, and the setting: with it, their operation exists. */
export const CLIENT_KEY = Buffer.from('of services that follow the ends').toString('base64url')
export const clientSettings: Settings = { CLIENT_KEYS: `test:${CLIENT_KEY}` }

/** Origin of the page of the tests' passkeys. */
export const PASSKEY_ORIGIN = 'https://app.example.org'
/** The option of an attached host, by the service's settings. */
function passkeysOf (settings: Settings): NonNullable<CountersignOptions['passkeys']> {
  const { PASSKEY_ORIGINS = PASSKEY_ORIGIN, PASSKEY_RP_ID: rpId, PASSKEY_USER_VERIFICATION: userVerification } = settings
  const origins = PASSKEY_ORIGINS.split(',')
  return {
    origins,
    rpId: rpId ?? new URL(origins[0]!).hostname,
    ...(userVerification === undefined ? {} : { userVerification: userVerification as 'preferred' | 'required' })
  }
}

export type App = Awaited<ReturnType<typeof buildApp>>

export interface Fresh {
  app: App
  db: TestDatabase
  clock: TestClock
  /** Environment variables that `readConfig` got. */
  settings: Settings
  /** Starts a replica: a second instance on the same database, Redis and keys. */
  another (settings?: Settings): Promise<App>
}

export interface FreshOptions {
  /** An existing database. To use a proxy in front of it, set `DATABASE_URL`. */
  db?: TestDatabase
  /** Redis namespace of this app. @default a new one, so that test files do not affect each other */
  namespace?: string
  /**
   * Replaces the hasher, for example by one that waits for the test; `dear`: as the service has it. @default the service's with cheap
   * hashes of argon2id
   */
  hasher?: NonNullable<Overrides['hasher']> | 'dear'
}

/** A hash of the service takes 20 ms of a core. These are the cheapest ones, in the same form and with the same queues. */
const CHEAP = { memoryCost: 8, timeCost: 1, parallelism: 1 }

const clocks = new WeakMap<object, TestClock>()
/** Functions that stop following the clock, by app. */
const unfollow = new WeakMap<object, () => void>()

/** Returns the clock of an app of `freshApp`. */
export function clockOf (app: object): TestClock {
  const clock = clocks.get(app)
  if (clock === undefined) throw new Error('Not an app of freshApp')
  return clock
}

/**
 * Builds the service, not listening, on its own database and Redis namespace. Uses the real stores if there are any, otherwise
 * embedded ones; always embedded with the setting `DATABASE_URL: ''`. Network limits are off unless set.
 */
export async function freshApp (t: Owner, settings: Settings = {}, options: FreshOptions = {}): Promise<Fresh> {
  if (process.env['COUNTERSIGN_TEST_ATTACHED'] === '1') return await freshHost(t, settings, options)
  const { databaseUrl, redisUrl } = await stores()
  const isEmbedded = settings['DATABASE_URL'] === '' || (options.db === undefined && databaseUrl === undefined)
  const served = isEmbedded ? undefined : options.db ?? await appDatabase(t, 'service')
  const namespace = options.namespace ?? `test_${randomBytes(6).toString('hex')}`
  const all: Settings = {
    PORT: '0',
    LOG_LEVEL: 'silent',
    NETWORK_LIMITS: 'off',
    PASSKEY_ORIGINS: PASSKEY_ORIGIN,
    ...mailSettings,
    ...(settings['REVOCATION_SECONDS'] === undefined ? clientSettings : {}),
    ...freshKeys(settings['JWT_ALG']),
    DATA_DIR: isEmbedded ? await embeddedDataDir(t) : await temporaryFolder(t),
    ...(served?.url === undefined ? {} : { DATABASE_URL: served.url }),
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
    ...settings
  }

  const overrides: StartOptions = { namespace, hasher: options.hasher }
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

interface StartOptions { namespace: string, hasher: FreshOptions['hasher'] }

async function start (t: Owner, settings: Settings, { namespace, hasher }: StartOptions): Promise<App> {
  const { buildApp } = await import('../../src/app.js')
  const { readConfig } = await import('../../src/config/config.js')
  const { createHasher } = await import('../../src/accounts/hasher.js')
  const app = await buildApp(readConfig(settings), {
    namespace,
    ...(hasher === 'dear' ? {} : { hasher: hasher ?? await createHasher(undefined, undefined, CHEAP) })
  })
  app.addHook('preClose', async () => unfollow.get(app)?.())
  t.teardown(() => {
    // An app that listens would serve on for three seconds.
    app.leaveAtOnce()
    return app.close()
  })
  await app.ready()
  return app
}

/** Between polls, a replica extrapolates the database's clock. This makes it poll when a test changes the clock, until it closes. */
function adopt (app: App, clock: TestClock): void {
  clocks.set(app, clock)
  unfollow.set(app, clock.follow(() => insideOf(app).sessions.poll()))
}

/** PGlite runs in the app's process. The test clock is installed through the app's single connection. */
async function embeddedDatabase (app: App): Promise<TestDatabase> {
  const query = (async (text, values = []) => {
    const { rows } = await app.database.kysely.executeQuery(CompiledQuery.raw(text, [...values]))
    return rows
  }) as Query
  const clock = await installClock(query)
  await query(`set search_path = ${SEARCH_PATH}`)
  return { query, clock }
}

/** Option names of an attached host, by the service's setting. */
const SETTINGS: Readonly<Record<string, string>> = {
  OTP_WINDOW: 'window',
  OTP_SETUP_SECONDS: 'setupSeconds',
  OTP_REAUTH_SECONDS: 'reauthSeconds',
  OTP_FRESH_SECONDS: 'freshSeconds',
  OTP_RECOVERY_CODES: 'recoveryCodes'
}

export interface FreshHost extends Fresh {
  /** Starts a replica with other options. */
  anotherHost (options: Partial<CountersignOptions>): Promise<App>
}

/** Like `freshApp`, for the files in test/attached: with an app that is unlike the service (`host-app.ts`). */
export async function freshHost (t: Owner, settings: Settings = {}, options: FreshOptions = {}): Promise<FreshHost> {
  const { buildHost } = await import('./host-app.js')
  const { redisUrl } = await stores()
  const db = options.db ?? await appDatabase(t, 'host')
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
      options: {
        issuer: own['OTP_ISSUER']!,
        sealKeys: own['SEAL_KEYS']!,
        namespace,
        passkeys: passkeysOf(own),
        settings: Object.fromEntries(numbers),
        ...more
      }
    }) as App
    markHost(host)
    adopt(host, db.clock)
    return host
  }
  const app = await open(all)
  return {
    app,
    db,
    clock: db.clock,
    settings: all,
    another: (more = {}) => open({ ...all, ...more }),
    anotherHost: (more) => open(all, more)
  }
}
