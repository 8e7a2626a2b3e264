import pg from 'pg'
import t from 'tap'
import { createHasher, type Hasher } from '../../src/accounts/hasher.js'
import { freshApp, type Fresh } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { stores } from '../helpers/stores.js'
import { until } from '../helpers/wait.js'

type Change = (ada: Person, others: { grace: Person }) => Promise<unknown>

const changes: Record<string, Change> = {
  'the first device is confirmed': async (ada) => { expect(200, await ada.confirm()) },
  'the password changes': async (ada) => {
    expect(200, await ada.request('POST', '/account/password', { current: ada.password, next: 'another password' }))
  },
  'the account is deactivated': async (ada, { grace }) => {
    expect(204, await grace.request('POST', `/admin/users/${idOf(ada)}/deactivate`, { reason: 'Left.' }))
  },
  'the account is deleted': async (ada) => { expect(204, await ada.request('DELETE', '/account')) }
}

const livingSessions = async ({ db }: Fresh, person: Person) =>
  await db.query<{ amr: string[] }>('select amr from otp_session where ended_at is null and user_id = $1', [idOf(person)])

/** Real argon2id. The hash of the log-in under test starts only when released; other requests hash without waiting. */
const real = await createHasher()
let hold: (() => Promise<void>) | undefined
const hasher: Hasher = {
  ...real,
  async verify (hash, password) {
    const held = hold?.()
    hold = undefined
    await held
    return await real.verify(hash, password)
  }
}

const shared = await freshApp(t, {}, { hasher })

/** Logs in and makes a change while the password waits to be hashed: the guess is consumed and the user's row is read. */
async function overtaken (change: Change): Promise<{ fresh: Fresh, ada: Person, statusCode: number }> {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await signUp(fresh.app)
  expect(200, await ada.login())
  expect(201, await ada.create())

  const late = ada.elsewhere()
  let open = () => {}
  const isOpen = new Promise<void>((resolve) => { open = resolve })
  const isWaiting = new Promise<void>((resolve) => {
    hold = () => {
      resolve()
      return isOpen
    }
  })
  const login = late.login()
  await isWaiting
  await change(ada, { grace })
  open()
  return { fresh, ada, statusCode: (await login).statusCode }
}

t.test('T8 the control: nothing changes, the login that waited succeeds', async (t) => {
  const { fresh, ada, statusCode } = await overtaken(async () => {})
  t.equal(statusCode, 200)
  t.equal((await livingSessions(fresh, ada)).length, 2)
})

for (const [what, change] of Object.entries(changes)) {
  t.test(`T8 ${what} while a login waits to be hashed: it gives nothing`, async (t) => {
    const { fresh, ada, statusCode } = await overtaken(change)
    t.equal(statusCode, 401)
    const withPasswordAlone = (await livingSessions(fresh, ada)).filter(({ amr }) => amr.length === 1)
    t.equal(withPasswordAlone.length, what.includes('password') ? 1 : 0, 'no session but the one that made the change')
    const logIns = await fresh.db.query("select 1 from otp_event where kind = 'logged_in' and user_id = $1", [idOf(ada)])
    t.equal(logIns.length, what.includes('deleted') ? 0 : 1)
    if (what.includes('device')) t.match((await ada.login()).json(), { otpRequired: true }, 'the next log-in requires the device')
  })
}

const { databaseUrl } = await stores()

const needsServer = { skip: databaseUrl === undefined && 'needs PostgreSQL' }
t.test('T8 the change is not committed yet when the login commits: the login waits, and gives nothing', needsServer, async (t) => {
  const fresh = await emptied(shared)
  const ada = await signUp(fresh.app)
  const other = new pg.Client({ connectionString: fresh.db.url })
  await other.connect()
  t.teardown(() => other.end())
  await other.query('begin')
  await other.query('update otp_user set version = version + 1')
  const login = ada.login()
  await until('the login to wait for the row', async () => await countLockWaits(fresh.db.query) === 1)
  await other.query('commit')
  t.equal((await login).statusCode, 401)
  t.same(await fresh.db.query('select from otp_session'), [])
  t.equal((await ada.login()).statusCode, 200)
})
