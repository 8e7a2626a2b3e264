import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { cheapHasher } from '../helpers/cheap-hasher.js'
import { holdStatement } from '../helpers/held-statement.js'
import { need } from '../helpers/need.js'
import type { SoftPasskey } from '../../src/testing/soft-passkey.js'
import { addPasskey, answer as answerChallenge, challenge, confirm, creation, newPasskey } from '../helpers/passkeys.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { idOf } from '../helpers/staff.js'
import { rowsOf, twinOf } from '../helpers/twin.js'

await need('postgres')
const { app, db, clock } = await freshApp(t, {}, { hasher: cheapHasher })
// Each case has a time of its own: a mark of one ends the sessions of no other.
await clock.freeze()
const CASE_SECONDS = 20
t.setTimeout(300_000)

type Send = () => Promise<LightMyRequestResponse>

type Owner = Person & { passkey: SoftPasskey }

/** Operation whose last statement decides. `prepare` gets a user with two devices, a passkey and recovery codes, in a verified session. */
interface Operation {
  /** Part of that statement alone. */
  part: string
  prepare (ada: Owner): Promise<{ session: Person, send: Send }>
  /** True if the user's version must be that of the judgement. */
  isVersioned: boolean
  /** What else outdates the judgement. */
  more?: Record<string, (changed: Changed) => Promise<unknown>>
  /** Returns the device that the session names afterwards. */
  device? (session: Person): string | null
}

async function unverified (ada: Person): Promise<Person> {
  const session = ada.elsewhere()
  expect(200, await session.login())
  return session
}

const setUp = (change: string) => ({ user, now }: Changed) =>
  db.query(`update otp_device set ${change} where user_id = $1 and confirmed_at is null and $2::timestamptz is not null`, [user, now])

const losingProof = {
  'the session loses its proof': ({ session, user }: Changed) =>
    db.query('update otp_session set otp_device_id = null where user_id = $1 and id = $2', [user, session.claims()['sid']])
}

const ofSetUp = (kind: 'totp' | 'passkey') => ({
  'the set-up expires': setUp('expires_at = $2'),
  'the set-up is of another session': setUp("session_id = 'another'"),
  ...losingProof,
  'the user gets ten devices': ({ user }: Changed) => db.query(`insert into otp_device (user_id, id, kind, name, created_at, confirmed_at)
    select $1, gen_random_uuid(), $2, 'Another', now(), now() from generate_series(1, 10)`, [user, kind])
})

const operations: Record<string, Operation> = {
  'a code': {
    part: '"last_step" <',
    isVersioned: true,
    device: ({ deviceId }) => deviceId,
    async prepare (ada) {
      const session = await unverified(ada)
      const code = await session.nextCode()
      return { session, send: () => session.verify(code) }
    }
  },
  'a code of a verified session': {
    part: '"last_step" <',
    isVersioned: true,
    device: ({ deviceId }) => deviceId,
    async prepare (ada) {
      const code = await ada.nextCode()
      return { session: ada, send: () => ada.verify(code) }
    }
  },
  'a recovery code': {
    part: '"digest" = any',
    isVersioned: false,
    device: () => 'recovery',
    async prepare (ada) {
      const session = await unverified(ada)
      return { session, send: () => session.recover(ada.recoveryCodes[0]) }
    }
  },
  'a passkey': {
    part: '"sign_count" <',
    isVersioned: true,
    async prepare (ada) {
      const session = await unverified(ada)
      const response = ada.passkey.authenticate(await challenge(session))
      return { session, send: () => answerChallenge(session, response) }
    }
  },
  'a confirmed app': {
    part: '"alive_codes"',
    isVersioned: false,
    more: ofSetUp('totp'),
    device: ({ deviceId }) => deviceId,
    async prepare (ada) {
      expect(201, await ada.create({ name: 'Third' }))
      const code = await ada.nextCode()
      return { session: ada, send: () => ada.confirm(code) }
    }
  },
  'a confirmed passkey': {
    part: '"alive_codes"',
    isVersioned: false,
    more: ofSetUp('passkey'),
    async prepare (ada) {
      const response = newPasskey().register((await creation(ada)).options)
      return { session: ada, send: () => confirm(ada, response) }
    }
  },
  'new recovery codes': {
    part: '"raised"',
    isVersioned: false,
    prepare: async (ada) => ({ session: ada, send: () => ada.request('POST', '/totp/recovery_code/create') })
  },
  'a removed device': {
    part: '"removed"',
    isVersioned: false,
    more: losingProof,
    prepare: async (ada) => ({ session: ada, send: () => ada.request('DELETE', `/totp/devices/${ada.deviceId}`) })
  },
  'the removal of the device of its session': {
    part: '"removed"',
    isVersioned: false,
    prepare: async (ada) => ({ session: ada, send: () => ada.request('DELETE', `/totp/devices/${ada.claims()['otp_device_id']}`) })
  },
  'another password': {
    part: '"changed"',
    // The user's row is locked by then: its version cannot change.
    isVersioned: false,
    prepare: async (ada) => ({
      session: ada, send: () => ada.request('POST', '/account/password', { current: ada.password, next: 'a stapler, a horse' })
    })
  },
  'no account any more': {
    part: '"emptied"',
    isVersioned: false,
    prepare: async (ada) => ({ session: ada, send: () => ada.request('DELETE', '/account') })
  },
  'a refresh': {
    part: '"rotated_at", "s"."otp_at"',
    isVersioned: false,
    async prepare (ada) {
      expect(200, await ada.refreshTokens())
      return { session: ada, send: () => ada.refreshTokens() }
    }
  }
}

interface Changed {
  session: Person
  user: string
  /** Time before the session, and now. */
  before: Date
  now: Date
}

const seconds = (at: Date, by: number) => new Date(at.getTime() + by * 1000)
const mark = (user: string, at: Date) => db.query(
  'insert into otp_revocation (user_id, ended_before) values ($1, $2) on conflict (user_id) do update set ended_before = $2', [user, at])

/** What ends the session or outdates the judgement. */
const changes: Record<string, (changed: Changed) => Promise<unknown>> = {
  'the session ends': ({ session, user }) =>
    db.query("update otp_session set ended_at = now(), end_reason = 'logged_out' where user_id = $1 and id = $2",
      [user, session.claims()['sid']]),
  'the session expires': ({ session, user, now }) =>
    db.query('update otp_session set expires_at = $3 where user_id = $1 and id = $2', [user, session.claims()['sid'], now]),
  'the sessions of the user are ended by a mark': ({ user, now }) => mark(user, seconds(now, 1)),
  'all sessions are ended by a mark': ({ now }) => mark('', seconds(now, 1))
}
/** What concerns others or the time before. */
const others: Record<string, (changed: Changed) => Promise<unknown>> = {
  'the sessions of another user are ended by a mark': ({ now }) => mark('another', seconds(now, 1)),
  'the sessions from before are ended by a mark': ({ user, before }) => mark(user, seconds(before, -1)),
  'the factors of another user change': () => db.query("update otp_user set version = version + 1 where user_id = 'another'")
}

let users = 0
/** Returns what a decision changes. */
const stateOf = async (user: string): Promise<string> => JSON.stringify(await Promise.all([
  'select id, ended_at, otp_at, otp_device_id, generation, auth_at from otp_session',
  'select device_id, last_step from otp_totp', 'select device_id, sign_count from otp_passkey',
  'select id, confirmed_at from otp_device', 'select digest, used_at from otp_recovery_code', 'select version from otp_user',
  'select ended_before from otp_revocation'
].map((text) => db.query(`${text} where user_id = $1 order by 1`, [user]))))

/** Everything that a decision about another user must leave. */
const bystander = await (await signUp(app, 'bystander')).enrol()
await addPasskey(bystander)
const guesser = await unverified(bystander)
for (const code of await bystander.wrongCodes(2)) expect(400, await guesser.verify(code))
const stateOfOthers = async () => JSON.stringify([
  await stateOf(idOf(bystander)), await db.query('select * from otp_user where user_id = $1', [idOf(bystander)])
])

/** Makes the change while the deciding statement waits to be sent. */
async function overtaken ({ part, prepare }: Operation, change: (changed: Changed) => Promise<unknown>): Promise<{
  status: number, before: string, after: string, body: string, session: Person
}> {
  await clock.advance(CASE_SECONDS)
  const startedAt = await clock.now()
  const ada = await signUp(app, `user${users++}`)
  await ada.enrol()
  expect(201, await ada.create({ name: 'Second' }))
  expect(200, await ada.confirm())
  const { session, send } = await prepare(Object.assign(ada, { passkey: await addPasskey(ada) }))
  const held = holdStatement(part)
  const sent = send()
  const early = sent.then(({ statusCode }) => { throw new Error(`answered ${statusCode} without the statement`) })
  await Promise.race([held.reached, early])
  early.catch(() => {})
  // Its sessions and devices have the same ids, and nothing changes for it.
  const twin = await twinOf(db.query, idOf(ada))
  const twinBefore = JSON.stringify(await rowsOf(db.query, twin))
  await change({ session, user: idOf(ada), before: startedAt, now: await clock.now() })
  const [before, othersBefore] = [await stateOf(idOf(ada)), await stateOfOthers()]
  held.release()
  const { statusCode, body } = await sent
  const after = await stateOf(idOf(ada))
  if (await stateOfOthers() !== othersBefore) throw new Error('a decision changed another user')
  if (JSON.stringify(await rowsOf(db.query, twin)) !== twinBefore) throw new Error('a decision changed a user with the same ids')
  return { status: statusCode, before, after, body, session: Object.assign(session, { deviceId: ada.deviceId }) }
}

for (const [name, operation] of Object.entries(operations)) {
  t.test(`T8 T9 ${name} waits while its session ends: it gives nothing`, async (t) => {
    for (const [what, change] of Object.entries({ ...changes, ...operation.more })) {
      const { status, before, after } = await overtaken(operation, change)
      t.ok(status >= 400 && status < 500, `${what}: ${status}`)
      t.equal(after, before, what)
    }
    if (operation.isVersioned) {
      const { status, before, after, body } = await overtaken(operation, ({ user }) =>
        db.query('update otp_user set version = version + 1 where user_id = $1', [user]))
      t.ok(status >= 400 && status < 500, `the factors change: ${status} ${body}`)
      t.equal(after, before, 'the factors change')
    }
  })

  t.test(`T8 T9 ${name} waits while others change: it is accepted`, async (t) => {
    for (const [what, change] of Object.entries(others)) {
      const { status, before, after, session } = await overtaken(operation, change)
      t.ok(status < 300, `${what}: ${status}`)
      t.not(after, before, what)
      if (operation.device !== undefined) t.equal(session.claims()['otp_device_id'], operation.device(session), what)
    }
  })
}
