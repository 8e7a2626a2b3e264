import pg from 'pg'
import t from 'tap'
import { createHasher, type Hasher } from '../../src/hasher.js'
import { freshApp, type Fresh } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { stores } from '../helpers/stores.js'
import { until } from '../helpers/wait.js'

type Change = (ada: Person, fresh: Fresh) => Promise<unknown>

const changes: Record<string, Change> = {
  'the first device is confirmed': async (ada) => { expect(200, await ada.confirm()) },
  'the password changes': async (_ada, { db }) => {
    await db.query("with u as (update otp_user set version = version + 1) update account set password_hash = 'another'")
  },
  'the account is deactivated': async (_ada, { db }) => {
    await db.query('with u as (update otp_user set version = version + 1) update account set is_active = false')
  },
  'the account is deleted': async (_ada, { db }) => { await db.query('with u as (delete from otp_user) delete from account') }
}

const count = async ({ db }: Fresh, table: string) => (await db.query<{ n: number }>(`select count(*)::int as n from ${table}`))[0]!.n

/** argon2id for real, but it begins only when it is let. */
const real = await createHasher()
let gate: Promise<void> = Promise.resolve()
let reached = () => {}
const hasher: Hasher = {
  ...real,
  async verify (hash, password) {
    reached()
    await gate
    return await real.verify(hash, password)
  }
}

const shared = await freshApp(t, {}, { hasher })

/** Logs in, and changes something while the password waits to be hashed: its guess is spent, what it is judged by is read. */
async function overtaken (change: Change): Promise<{ fresh: Fresh, ada: Person, statusCode: number }> {
  const fresh = await emptied(shared)
  const ada = await signUp(fresh.app)
  expect(200, await ada.login())
  expect(201, await ada.create())

  const late = ada.elsewhere()
  let open = () => {}
  gate = new Promise((resolve) => { open = resolve })
  const isWaiting = new Promise<void>((resolve) => { reached = resolve })
  const login = late.login()
  await isWaiting
  await change(ada, fresh)
  open()
  return { fresh, ada, statusCode: (await login).statusCode }
}

t.test('T8 the control: nothing changes, the login that waited succeeds', async (t) => {
  const { fresh, statusCode } = await overtaken(async () => {})
  t.equal(statusCode, 200)
  t.equal(await count(fresh, 'otp_session'), 2)
})

for (const [what, change] of Object.entries(changes)) {
  t.test(`T8 ${what} while a login waits to be hashed: it gives nothing`, async (t) => {
    const { fresh, ada, statusCode } = await overtaken(change)
    t.equal(statusCode, 401)
    const sessions = await fresh.db.query<{ amr: string[] }>('select amr from otp_session where ended_at is null')
    const withPasswordAlone = sessions.filter(({ amr }) => amr.length === 1)
    t.equal(withPasswordAlone.length, what.includes('device') ? 0 : 1, 'no session but the one from before')
    t.equal((await fresh.db.query("select 1 from otp_event where kind = 'logged_in'")).length, 1)
    if (what.includes('device')) t.match((await ada.login()).json(), { otpRequired: true }, 'anew, it knows of the device')
  })
}

const { databaseUrl } = await stores()

t.test('T8 the change is under way, not committed, when the login commits: it waits, and gives nothing', { skip: databaseUrl === undefined && 'needs PostgreSQL' }, async (t) => {
  const fresh = await emptied(shared)
  const ada = await signUp(fresh.app)
  const other = new pg.Client({ connectionString: fresh.db.url })
  await other.connect()
  t.teardown(() => other.end())
  await other.query('begin')
  await other.query('update otp_user set version = version + 1')
  const login = ada.login()
  await until('the login to wait for the row', async () => (await fresh.db.query("select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")).length === 1)
  await other.query('commit')
  t.equal((await login).statusCode, 401)
  t.equal(await count(fresh, 'otp_session'), 0)
  t.equal((await ada.login()).statusCode, 200)
})
