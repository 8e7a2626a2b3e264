import pg from 'pg'
import t from 'tap'
import { insideOf } from '../../../src/attach/inside.js'
import { asCleaner } from '../../../src/cleanup/cleanup.js'
import { createHardening } from '../../../src/factors/recovery/hardening.js'
import { freshApp, type App } from '../../helpers/app.js'
import { bringOver, djangoDump, people } from '../../helpers/django.js'
import { holdStatement } from '../../helpers/held-statement.js'
import { need } from '../../helpers/need.js'
import { expect, Person } from '../../helpers/person.js'
import { until } from '../../helpers/wait.js'

await need('postgres')

/** Makes a function that hashes all codes as the app's cleanup does, after that of the app, which may be at it. */
function hardening (app: App): () => Promise<void> {
  const harden = createHardening(insideOf(app))
  return async () => {
    // On a busy machine a transaction may idle for too long.
    const next = async () => await asCleaner(insideOf(app).db, harden).catch(() => null)
    await until('all codes to be hashed', async () => {
      let found = await next()
      while (found === true) found = await next()
      return found === false
    }, 120_000)
  }
}

t.test('imported codes that can be guessed get slow, salted digests, and open as before', async (t) => {
  const { app, db } = await freshApp(t)
  await bringOver(app, (await djangoDump(t)).url)
  const read = () => db.query<{ digest: string }>('select digest from otp_recovery_code where weak order by 1')
  const digests = async () => (await read()).map(({ digest }) => digest)
  const before = await digests()
  await hardening(app)()
  const after = await digests()
  t.equal(after.length, before.length)
  for (const digest of after) t.match(digest, /^\$scrypt\$ln=14,r=8,p=1\$/)
  const users = await db.query('select distinct user_id from otp_recovery_code where weak')
  t.equal(new Set(after.map((digest) => digest.split('$')[3])).size, users.length, 'one salt for each user')

  const grace = people.find(({ username }) => username === 'user001')!
  const enter = async () => {
    const session = new Person({ app, username: grace.username, password: grace.password!, phone: { lastStep: 0 } })
    expect(200, await session.login())
    return session
  }
  t.equal((await (await enter()).recover('aaaaaaaa')).json().code, 'RECOVERY_CODE_INVALID')
  for (const [i, code] of grace.recoveryCodes.entries()) {
    t.match((await (await enter()).recover(code.toUpperCase())).json(), { recoveryCodesLeft: 4 - i })
    t.equal((await (await enter()).recover(code)).json().code, 'RECOVERY_CODE_INVALID', 'once')
  }
})

t.test('a code whose digest is replaced while it is judged opens all the same', async (t) => {
  const { app, db } = await freshApp(t)
  await bringOver(app, (await djangoDump(t)).url)
  const grace = people.find(({ username }) => username === 'user001')!
  await db.query(`delete from otp_recovery_code where user_id <>
    (select id::text from account where username = $1)`, [grace.username])
  const session = new Person({ app, username: grace.username, password: grace.password!, phone: { lastStep: 0 } })
  expect(200, await session.login())
  // Its digests are read by then.
  const attempt = holdStatement('attempt$row')
  const asked = session.recover(grace.recoveryCodes[0])
  await attempt.reached
  await hardening(app)()
  t.same(await db.query('select from otp_recovery_code where fast'), [])
  attempt.release()
  t.match((await asked).json(), { recoveryCodesLeft: 4 })
})

t.test('a code whose key cannot be read keeps its digest, and the codes of the other users get slow ones', async (t) => {
  const { app, db } = await freshApp(t)
  await bringOver(app, (await djangoDump(t)).url)
  const [first] = await db.query<{ id: string }>('select min(user_id) as id from otp_recovery_code where fast')
  await db.query("update otp_recovery_code set origin = 'gone.' || digest where user_id = $1", [first!.id])
  const unread = await db.query('select digest from otp_recovery_code where fast and origin is not null order by 1')
  t.ok(unread.length > 0)
  const harden = hardening(app)
  await harden()
  t.same(await db.query('select digest from otp_recovery_code where fast order by 1'), unread)
  await harden()
})

t.test('no replica hashes while another one cleans up', async (t) => {
  const { app, db } = await freshApp(t)
  await bringOver(app, (await djangoDump(t)).url)
  const other = new pg.Client({ connectionString: db.url })
  await other.connect()
  t.teardown(() => other.end())
  await other.query('begin')
  await other.query("select pg_advisory_xact_lock(hashtext('countersign sweep'))")
  const harden = createHardening(insideOf(app))
  const before = await db.query('select digest from otp_recovery_code order by 1')
  t.equal(await asCleaner(insideOf(app).db, harden), null)
  t.same(await db.query('select digest from otp_recovery_code order by 1'), before)
  await other.query('commit')
  await until('the other cleanup to end', async () => await asCleaner(insideOf(app).db, harden) === true)
  t.notSame(await db.query('select digest from otp_recovery_code order by 1'), before)
})

t.test('codes of one user get one salt, also from two replicas', async (t) => {
  const { app, db } = await freshApp(t)
  await bringOver(app, (await djangoDump(t)).url)
  const replicas = [createHardening(insideOf(app)), createHardening(insideOf(app))]
  for (const replica of [...replicas, ...replicas]) await until('a turn', async () => await asCleaner(insideOf(app).db, replica) === true)
  await hardening(app)()
  const hashed = await db.query<{ id: string, digest: string }>(
    'select user_id as id, digest from otp_recovery_code where not fast and weak')
  const salts = new Map(hashed.map(({ id, digest }) => [`${id} ${digest.split('$')[3]}`, id]))
  t.ok(hashed.length >= 2)
  t.equal(salts.size, new Set(salts.values()).size)
})
