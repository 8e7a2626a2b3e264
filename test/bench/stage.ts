import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { secondFactorMigrations, serviceMigrations } from '../../migrations/index.js'
import type { Tokens } from '../../plugins/tokens.js'
import { DEFAULT_SCHEMA } from '../../src/attach/tables.js'
import { readConfig } from '../../src/config/config.js'
import { createSeal } from '../../src/core/keys/seal.js'
import type { SessionFacts } from '../../src/core/session.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb, type Db } from '../../src/tables/db.js'
import { createHasher } from '../../src/accounts/hasher.js'
import { startServer, type ServerProcess } from '../helpers/server-process.js'
import type { Settings } from '../helpers/settings.js'
import { signer } from '../helpers/signer.js'
import type { Stores } from '../helpers/stores.js'
import type { Owner } from '../helpers/teardown.js'
import { makePlace } from '../load/place.js'
import { newIds, putSessions, putStock, type Amounts, type Stock } from '../load/stock.js'
import type { Process } from './contest.js'
import { NAMED_FOR_PERF, watch } from './flame.js'
import type { FormerStage } from './former.js'

/** The namespace in `buildApp`, for which secrets are sealed. */
const NAMESPACE = 'countersign'
export const PASSWORD = 'a password for the bench'

/** One database, one Redis, one set of keys, and any number of services and limits on them. */
export interface Stage {
  settings: Settings
  issue: Tokens['issue']
  /** Returns an issuer with other settings, like a service with these settings. */
  issuerFor (others: Settings): Promise<Tokens['issue']>
  db: Db
  put (amounts: Partial<Amounts>): Promise<Stock>
  /** Inserts verified sessions into the tables of an attached host. */
  putAtHost (count: number): Promise<SessionFacts[]>
  /** @param others override the settings of the stage */
  service (others?: Settings): Promise<Process & ServerProcess>
  limit (name: string): Promise<Process>
  /** Another revision, to compare with. */
  former?: FormerStage
}

/**
 * @param work name of the part
 * @param profiles folder for the flame graphs of the services; none if absent
 */
export async function makeStage (owner: Owner, stores: Stores, work: string, profiles?: string): Promise<Stage> {
  let services = 0
  const settings = await makePlace(owner, stores)
  const { sealKeys, jwtKeys, databaseUrl } = readConfig(settings)
  const pool = openPostgres(databaseUrl!, 2, () => {}, 0)
  owner.teardown(() => pool.close())
  await migrateUp(pool.dialect, serviceMigrations)
  const db = createDb(pool.dialect)
  const seal = createSeal(sealKeys!, NAMESPACE)
  const passwordHash = await (await createHasher()).hash(PASSWORD)
  const issuerFor = async (others: Settings) => (await signer(readConfig({ ...settings, ...others }))).issue

  return {
    settings,
    issue: await issuerFor({}),
    issuerFor,
    db,
    put: (amounts) => putStock(db, seal, passwordHash, { guarded: 0, people: 0, verifications: 0, refreshes: 0, ...amounts }),

    async putAtHost (count) {
      await migrateUp(pool.dialect, secondFactorMigrations, DEFAULT_SCHEMA)
      return await putSessions(createDb(pool.dialect, { schema: DEFAULT_SCHEMA }), newIds(count), { verified: true })
    },

    async service (others = {}) {
      const service = startServer(owner, { ...settings, ...others }, profiles === undefined ? [] : NAMED_FOR_PERF)
      const port = Number(new URL(await service.ready()).port)
      if (profiles !== undefined) {
        const name = `${work}-${++services}`
        const watching = await watch(service.pid, name, join(profiles, `${name}.svg`))
        owner.teardown(watching.end)
      }
      return { ...service, port }
    },

    async limit (name) {
      const env = {
        PATH: process.env['PATH'],
        DATABASE_URL: settings['DATABASE_URL'],
        REDIS_URL: settings['REDIS_URL'],
        BENCH_SECRET: jwtKeys![0]!.bytes.toString('base64url')
      }
      const child = fork(join(import.meta.dirname, 'limits.js'), [name], { env })
      owner.teardown(() => child.kill('SIGKILL'))
      const [port] = await Promise.race(
        [once(child, 'message'), once(child, 'exit').then(() => { throw new Error(`the limit ${name} ended`) })]
      ) as [number]
      return { port, pid: child.pid! }
    }
  }
}
