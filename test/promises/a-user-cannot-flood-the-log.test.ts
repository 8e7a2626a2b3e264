import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { LightMyRequestResponse } from 'fastify'
import { insideOf } from '../../src/attach/inside.js'
import type { SessionContext } from '../../src/core/assurance.js'
import { refuseRecovery } from '../../src/factors/recovery/statements.js'
import { readEvents } from '../../src/events/log.js'
import { claimDeliveries, WEBHOOK } from '../../src/events/outbox.js'
import type { Db } from '../../src/tables/db.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId, type Person } from '../helpers/person.js'

await need('postgres')
const { app, db, clock, another } = await freshApp(t)
const replica = await another()

const AN_HOUR = 60
const lines = async (id: string, kind: string) =>
  await db.query<{ count: number | null }>('select count from otp_event where user_id = $1 and kind = $2 order by at, id', [id, kind])

/** Number of events that leave sixty lines and one line that counts the rest. */
async function folded (id: string, kind: string, events: number): Promise<void> {
  const found = await lines(id, kind)
  t.equal(found.filter(({ count }) => count === null).length, AN_HOUR, `${kind}: lines of their own`)
  t.same(found.filter(({ count }) => count !== null), [{ count: events - AN_HOUR }], `${kind}: one line counts the rest`)
}

const KIND = 'recovery_refused'
/** Returns a user and a function that writes a refused recovery code in the user's session. */
async function refused (name: string): Promise<{ id: string, refuse: (to?: Db) => Promise<unknown> }> {
  const person = await signUp(app, name)
  expect(200, await person.login())
  const [userId, sessionId] = [String(person.claims()['sub']), String(person.claims()['sid'])]
  const context: SessionContext = {
    userId, sessionId, otpRequired: false, otpDeviceId: null, otpTime: null, otpDeadline: null, authTime: 0, expiresAt: 0
  }
  return {
    id: userId,
    refuse: async (to = insideOf(app).db) => {
      await refuseRecovery(to, { context, ip: '198.51.100.1', network: '198.51.100.1', agent: 'test' })
    }
  }
}

type Cause = (person: Person, n: number) => Promise<LightMyRequestResponse>
const logIn: Cause = async (person) => expect(200, await person.elsewhere().login())
const profile = { oauthServiceName: 'calendar', oauthUrl: 'https://calendar.example.org', oauthCredentials: 'x' }

/** [kinds of event, request that a session can repeat at will] */
const atWill: Array<[kinds: string[], cause: Cause]> = [
  [['logged_in'], logIn],
  [
    ['recovery_refused'],
    async (person) => expect(400, await person.request('POST', '/totp/recovery_code/login', { token: '7G3K-9QWE-RTY2-4HJM-PZXC-VB8N' }))
  ],
  [['recovery_regenerated'], async (person) => expect(201, await person.request('POST', '/totp/recovery_code/create'))],
  [
    ['otp_device_renamed'],
    async (person, n) => expect(200, await person.request('PATCH', `/totp/devices/${person.deviceId}`, { name: `Phone ${n}` }))
  ],
  [['oauth_profile_added', 'oauth_profile_removed'], async (person) => {
    const { id } = expect(201, await person.request('POST', '/account/oauth-profiles', profile)).json<{ id: string }>()
    return expect(204, await person.request('DELETE', `/account/oauth-profiles/${id}`))
  }],
  [['email_changed'], async (person, n) => expect(200, await person.request('PATCH', '/account', { email: `ada${n}@example.org` }))]
]

t.test('E5 events that a user can cause at will: sixty lines an hour and kind, then one line that counts', async (t) => {
  for (const [kinds, cause] of atWill) {
    const ada = await (await signUp(app, `ada${randomUUID().slice(0, 8)}`)).enrol()
    const before = kinds[0] === 'logged_in' ? 1 : 0
    for (let n = before; n < 64; n++) await cause(ada, n)
    for (const kind of kinds) await folded(userId(ada), kind, 64)
    const { events } = expect(200, await ada.request('GET', '/account/security-events?limit=100')).json<{
      events: Array<{ kind: string, count?: number }>
    }>()
    t.same(
      events
        .filter(({ count }) => count !== undefined)
        .map(({ kind, count }) => [kind, count])
        .sort(),
      [...kinds].sort().map((kind) => [kind, 4]),
      'the log shows it'
    )
  }
})

t.test('exact for two hundred, most of them at once, on two replicas; an hour later the lines are of their own again', async (t) => {
  const { id, refuse } = await refused('bea')
  const atOnce = async (events: number) => {
    await Promise.all(Array.from({ length: events }, (_, i) => refuse(insideOf(i % 2 === 0 ? app : replica).db)))
  }
  // The first ones open the connections, for which the others would wait in vain on a busy machine.
  await atOnce(40)
  await atOnce(160)
  await folded(id, KIND, 200)
  await clock.advance(3500)
  await refuse()
  await folded(id, KIND, 201)
  await clock.advance(101)
  await Promise.all(Array.from({ length: 50 }, () => refuse()))
  const all = await lines(id, KIND)
  t.equal(all.length + all.reduce((sum, { count }) => sum + (count === null ? 0 : count - 1), 0), 251, 'each event is in a line')
  const [most] = await db.query<{ n: number }>(`
    select max((select count(*) from otp_event e where e.user_id = o.user_id and e.kind = o.kind
      and e.count is null and e.at between o.at and o.at + interval '1 hour'))::int as n
    from otp_event o where user_id = $1 and kind = $2`, [id, KIND])
  t.ok(most!.n <= AN_HOUR, `${most!.n} within an hour`)
})

t.test('the line that counts is notified once; no other user is counted with it', async (t) => {
  const outside = { ...insideOf(app).db, destinations: [WEBHOOK] }
  const [cas, dee] = [await refused('cas'), await refused('dee')]
  for (let i = 0; i < 70; i++) await cas.refuse(outside)
  await dee.refuse(outside)
  const claimed = await claimDeliveries(outside, WEBHOOK, 500)
  t.equal(claimed.length, 62)
  t.same(claimed.filter(({ count }) => count !== undefined).map(({ userId, kind, count }) => [userId, kind, count]), [[cas.id, KIND, 10]])
  await cas.refuse(outside)
  t.equal((await claimDeliveries(outside, WEBHOOK, 500)).length, 0, 'a further count notifies no consumer')
  const page = await readEvents(outside, cas.id, 100, null)
  t.equal(page?.events.find(({ count }) => count !== undefined)?.count, 11)
})

t.test('each action of staff has its own line', async (t) => {
  const root = await (await signUp(app, 'root')).enrol()
  await db.query('update account set is_staff = true where id::text = $1', [userId(root)])
  const ada = await signUp(app, 'owner')
  expect(200, await ada.login())
  for (let n = 1; n <= 62; n++) expect(200, await root.request('PATCH', `/admin/users/${userId(ada)}`, { powerAccountId: n }))
  t.equal((await lines(userId(ada), 'references_changed')).length, 62)
  t.equal((await lines(userId(root), 'staff_acted')).length, 62)
})
