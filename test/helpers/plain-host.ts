import Fastify, { type FastifyInstance, type FastifyServerOptions, type InjectOptions, type LightMyRequestResponse } from 'fastify'
import type pg from 'pg'
import countersign, { type CountersignOptions } from '../../plugins/countersign.js'
import { PERIOD_SECONDS, secretOf, stepAt, totp } from './authenticator.js'
import type { TestClock } from './clock.js'
import { appDatabase, openPool, type TestDatabase } from './database.js'
import { fromHeaders } from './header-host.js'
import { freshKeys } from './settings.js'
import type { Owner } from './teardown.js'

export interface PlainHostOptions {
  options?: Partial<CountersignOptions>
  fastify?: FastifyServerOptions
  /** Called before the plugin is registered. */
  before?: (app: FastifyInstance) => unknown
  /** Called after that, for the host's routes. */
  after?: (app: FastifyInstance) => unknown
  db?: TestDatabase
}

export interface PlainHost {
  app: FastifyInstance
  db: TestDatabase
  pool: pg.Pool
  /** Lines of the log, from `warn` on. */
  lines: string[]
  /** Sends a request with the headers of a user and a session; the password was given just now. */
  ask (who: { user: string, session: string }, method: Method, url: string, payload?: object): Promise<LightMyRequestResponse>
  /** Sets a device up. @returns the verified session, and a function for the next codes */
  enrol (user: string): Promise<Enrolled>
}

type Method = NonNullable<InjectOptions['method']>

export interface Enrolled {
  /** A session of the user that is verified. */
  verified: { user: string, session: string }
  /** Returns an unused code, after moving the clock. */
  nextCode (): Promise<string>
  recoveryCodes: string[]
}

/** Builds a host of `fromHeaders` in its simplest form: Fastify's own settings, and the routes that a test adds. */
export async function plainHost (
  t: Owner, { options = {}, fastify = {}, before, after, db: given }: PlainHostOptions = {}
): Promise<PlainHost> {
  const db = given ?? await appDatabase(t, 'host')
  const lines: string[] = []
  const stream = { write: (line: string) => { lines.push(line) } }
  const app = Fastify({ logger: { level: 'warn', stream }, ...fastify }) as FastifyInstance
  const pool = openPool(db.url!, { max: 4 })
  app.addHook('onClose', () => pool.end())
  t.teardown(() => app.close())
  await countersign.migrate(pool)
  await before?.(app)
  await app.register(countersign, {
    ...fromHeaders, issuer: 'Acme', sealKeys: freshKeys()['SEAL_KEYS']!, database: pool, ...options
  })
  await after?.(app)
  await app.ready()
  const seconds = async () => String(Math.floor((await db.clock.now()).getTime() / 1000))
  const ask: PlainHost['ask'] = async ({ user, session }, method, url, payload) => await app.inject({
    method, url, headers: { user, session, at: await seconds() }, ...(payload === undefined ? {} : { payload })
  })
  return { app, db, pool, lines, ask, enrol: (user) => enrol({ ask, clock: db.clock, prefix: options.prefix ?? '/totp' }, user) }
}

/** Answer of a host, or of one that wraps it as `data`. */
const shown = <T>(answer: LightMyRequestResponse): T => {
  const json = answer.json<T & { data?: T }>()
  return json.data ?? json
}

async function enrol (
  { ask, clock, prefix }: { ask: PlainHost['ask'], clock: TestClock, prefix: string }, user: string
): Promise<Enrolled> {
  const who = { user, session: `${user}'s first` }
  const created = await ask(who, 'POST', `${prefix}/create`)
  if (created.statusCode !== 201) throw new Error(`create: ${created.body}`)
  const { otpUrl, recoveryCodes } = shown<{ otpUrl: string, recoveryCodes: string[] }>(created)
  const secret = secretOf(otpUrl)
  const code = async () => totp(secret, stepAt(await clock.now()))
  const confirmed = await ask(who, 'POST', `${prefix}/login`, { token: await code() })
  if (confirmed.statusCode !== 200) throw new Error(`login: ${confirmed.body}`)
  return {
    verified: { user, session: shown<{ session: string }>(confirmed).session },
    async nextCode () {
      await clock.advance(PERIOD_SECONDS)
      return await code()
    },
    recoveryCodes
  }
}
