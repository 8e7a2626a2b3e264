import { randomBytes } from 'node:crypto'
import t from 'tap'
import { serviceMigrations } from '../../migrations/index.js'
import { createDeploymentKey } from '../../src/attach/deployment-key.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb } from '../../src/tables/db.js'
import { appDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { until } from '../helpers/wait.js'

await need('postgres')

t.test('an error that PostgreSQL answers is the fault that is told, and the attempts go on until it is mended', async (t) => {
  const { url, query } = await appDatabase(t, 'service')
  const pool = openPostgres(url, 1, () => {}, 0)
  await migrateUp(pool.dialect, serviceMigrations)
  t.teardown(() => pool.close())
  await query('alter table otp_key rename column sealed to elsewhere')
  const lines: string[] = []
  const key = createDeploymentKey({
    db: createDb(pool.dialect, { hasAccounts: true }),
    keys: [{ kid: 'a', bytes: randomBytes(32) }],
    namespace: 'countersign',
    isKnownAway: () => false,
    fatal: (_facts, line) => { lines.push(line) }
  })
  t.teardown(() => { key.stop() })
  await key.start(false)
  await until('the fault', () => key.fault() !== null)
  t.notOk(key.isOpen())
  await query('alter table otp_key rename column elsewhere to sealed')
  await until('the key', () => key.isOpen())
  t.equal(key.fault(), null)
  t.equal(lines.length, 1, 'logged once')
})
