/** Marks of users: what tells services that follow the revocations of every session of a user at once. */
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { createClient } from '../../src/client/index.js'
import type { Line } from '../../src/client/follower.js'
import { idDigest } from '../../src/core/claims.js'
import { endEverySession } from '../../src/sessions/ending.js'
import { setPassword } from '../../src/staff/command-line.js'
import { inTransaction, lockUser } from '../../src/tables/transaction.js'
import { CLIENT_KEY, freshApp, type App } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { addressOf, linesOf, listOf } from '../helpers/revocations.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { until } from '../helpers/wait.js'

await need('postgres')
await need('redis-server')

const outcome = (client: ReturnType<typeof createClient>, { access }: Person) =>
  client.verify(access!).then(() => 'accepted', (error: { code?: string }) => error.code)

async function loggedIn (person: Person): Promise<Person> {
  const other = person.elsewhere()
  expect(200, await other.login())
  return other
}

/** Marks in a full list. */
async function marksAt (app: App): Promise<Line['marks']> {
  const address = await addressOf(app)
  const marks: Line['marks'] = []
  for await (const line of linesOf(address)) {
    marks.push(...line.marks)
    if (!line.more) return marks
  }
  throw new Error('The answer ended before the list did')
}

t.test('what ends every session of a user marks the user, and what spares one does not', async (t) => {
  const { app, db } = await freshApp(t)
  const grace = await staffAt({ app, db })
  const inside = insideOf(app).db
  const of = (person: Person, path: string) => `/admin/users/${idOf(person)}${path}`
  const ends: Record<string, (person: Person) => Promise<unknown>> = {
    deactivated: async (person) => expect(204, await grace.request('POST', of(person, '/deactivate'), { reason: 'r' })),
    reset: async (person) => expect(200, await grace.request('POST', of(person, '/reset-otp'), { reason: 'r' })),
    allByStaff: async (person) => await grace.request('DELETE', of(person, '/sessions')),
    password: async (person) => await setPassword(inside, idOf(person), 'x'),
    byMail: async (person) => await inTransaction(inside, async (tx) => {
      await lockUser(tx, idOf(person))
      await endEverySession(tx, idOf(person), 'password_reset')
    }),
    deleted: async (person) => expect(204, await person.request('DELETE', '/account')),
    oneByStaff: async (person) => await grace.request('DELETE', of(person, `/sessions/${String(person.claims()['sid'])}`)),
    loggedOut: async (person) => expect(204, await person.request('POST', '/token/revoke')),
    others: async (person) => expect(204, await person.request('DELETE', '/account/sessions')),
    ownPassword: async (person) => expect(200, await person.request('POST', '/account/password', {
      current: person.password, next: 'another long enough one'
    }))
  }
  const marked: string[] = []
  for (const [name, end] of Object.entries(ends)) {
    const person = await signUp(app, name.toLowerCase())
    expect(200, await person.login())
    await loggedIn(person)
    const userId = idOf(person)
    await end(person)
    const [row] = await db.query('select ended_xid is not null as ordered from otp_revocation where user_id = $1', [userId])
    if (row !== undefined) marked.push(name)
    t.not(row?.['ordered'], false)
  }
  t.same(marked, ['deactivated', 'reset', 'allByStaff', 'password', 'byMail', 'deleted'])
})

t.test('a mark is named once, is in the list of a replica that starts, and ends the sessions that a failover lost', async (t) => {
  const { app, db, clock, another } = await freshApp(t, { JWT_ALG: 'EdDSA' })
  const address = await addressOf(app)
  const client = createClient({ url: address, key: CLIENT_KEY, onStale: 'refuse' })
  t.teardown(() => client.close())
  const grace = await staffAt({ app, db })
  const ada = await signUp(app, 'ada')
  const lost = await loggedIn(ada)
  await clock.advance(30)
  await client.ready()
  const { last: { cursor } } = await listOf(address)
  await db.query('delete from otp_session where user_id = $1', [idOf(lost)])
  await clock.freeze()
  const [first, bystander] = [await loggedIn(ada), await loggedIn(await signUp(app, 'bob'))]
  t.equal(await outcome(client, lost), 'accepted', 'nobody ended it')
  expect(204, await grace.request('DELETE', `/admin/users/${idOf(lost)}/sessions`))
  const second = await loggedIn(ada)
  t.equal(first.claims()['auth_time'], second.claims()['auth_time'], 'both began in the same moment')
  await until('the mark', async () => await outcome(client, lost) === 'SESSION_ENDED')
  t.equal(await outcome(client, first), 'SESSION_ENDED')
  t.equal(await outcome(client, second), 'accepted')
  t.equal(await outcome(client, bystander), 'accepted')

  const seen: Line['marks'] = []
  const named: string[] = []
  let count = 0
  for await (const { marks, ids } of linesOf(address, cursor)) {
    seen.push(...marks)
    named.push(...ids)
    if (++count > 6) break
  }
  t.match(seen, [{ user: idDigest(idOf(lost)), before: Number }], 'once')
  const isNamed = (person: Person) => named.includes(idDigest(String(person.claims()['sid'])))
  t.same([first, second, bystander].map(isNamed), [true, false, false])
  const [{ before }] = seen as [{ before: number }]
  const now = (await clock.now()).getTime()
  t.ok(before % 1000 === 0 && before <= now - 10_000 && before > now - 12_000)

  const replica = await another()
  t.same(await until('its list', () => marksAt(replica).catch(() => undefined)), seen)
  await clock.unfreeze()
  await clock.advance(400)
  const later = await another()
  t.same(await until('its list', () => marksAt(later).catch(() => undefined)), [], 'no access token from before it lives')
})
