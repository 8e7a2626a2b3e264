import { randomUUID } from 'node:crypto'
import t from 'tap'
import { outcome } from '../../helpers/answers.js'
import { freshApp } from '../../helpers/app.js'
import { eventKinds } from '../../../src/events/kinds.js'
import { expect, type Person, sessionsOf, signUp, userId } from '../../helpers/person.js'

const { app, db, clock } = await freshApp(t, { TRUSTED_PROXIES: '127.0.0.1' })

interface Event {
  id: string
  kind: string
  at: string
  ip: string
  agent: string
  sessionId: string | null
  deviceName: string | null
  detail: string | null
}
interface Page { events: Event[], nextCursor: string | null }
const URL = '/account/security-events'
const page = async (person: Person, query = '') => expect(200, await person.request('GET', `${URL}${query}`)).json<Page>()
/** Reads every page, from the first one on. */
async function leaf (person: Person, limit: number, between: () => Promise<unknown> = async () => {}): Promise<Event[]> {
  const events: Event[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { events: more, nextCursor }: Page = await page(person, `?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`)
    t.ok(more.length === limit || nextCursor === null, 'a page is full, or the last one')
    events.push(...more)
    cursor = nextCursor
    await between()
  }
  return events
}

t.test('E5 one event for each decision, the newest first; a wrong code after a right password is one of them', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
  const { username, password } = ada
  const from = { 'user-agent': agent, 'x-forwarded-for': '198.51.100.7' }
  const { access } = expect(200, await app.inject({ method: 'POST', url: '/token', headers: from, payload: { username, password } })).json()
  expect(400, await app.inject({
    method: 'POST',
    url: '/totp/login',
    headers: { ...from, authorization: `Bearer ${access}` },
    payload: { token: await ada.wrongCode() }
  }))
  const { events, nextCursor } = await page(ada)
  t.same(events.map(({ kind }) => kind), ['otp_refused', 'logged_in', 'otp_enabled', 'logged_in', 'signed_up'])
  t.equal(nextCursor, null)
  const [wrong, login, enabled] = events
  t.match(wrong, {
    ip: '198.51.100.7', agent: 'Firefox on Linux', sessionId: ada.claims(access)['sid'] as string, deviceName: null, detail: null
  })
  t.equal(login!.sessionId, wrong!.sessionId)
  t.equal(enabled!.deviceName, 'Authenticator')
  for (const event of events) {
    t.same(Object.keys(event).sort(), ['agent', 'at', 'detail', 'deviceName', 'id', 'ip', 'kind', 'sessionId'])
    t.ok(event.kind in eventKinds)
    t.match(event.at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  }
})

t.test('pages by cursor: each event once, also of one instant, whatever happens meanwhile', async (t) => {
  const bea = await signUp(app, 'bea')
  expect(200, await bea.login())
  const id = userId(bea)
  const insert = async (count: number, at: string) => await db.query(`insert into otp_event (user_id, at, id, kind, ip, agent)
    select $1, ${at}, gen_random_uuid(), 'login_failed', '', '' from generate_series(1, ${count}) n`, [id])
  await insert(40, "test_clock.clock_timestamp() - n * interval '1 microsecond'")
  await insert(40, "date_trunc('hour', test_clock.clock_timestamp()) - interval '1 hour'")
  const all = (await db.query<{ id: string }>('select id from otp_event where user_id = $1 order by at desc, id desc', [id])).map(
    ({ id }) => id
  )
  for (const limit of [1, 7, 41, 82, 100]) t.same((await leaf(bea, limit)).map(({ id }) => id), all, `by ${limit}`)
  const meanwhile = await leaf(bea, 9, async () => { await bea.login('wrong') })
  t.same(meanwhile.map(({ id }) => id), all, 'stable under inserts')
  t.equal((await page(bea)).events.length, 50, 'fifty by default')
})

t.test('E6 one\'s own events alone, whatever the cursor says', async (t) => {
  const cas = await (await signUp(app, 'cas')).enrol()
  const dee = await signUp(app, 'dee')
  expect(200, await dee.login())
  const { nextCursor } = await page(cas, '?limit=1')
  const own = new Set((await page(dee)).events.map(({ id }) => id))
  const theirs = (await page(dee, `?cursor=${nextCursor}`)).events
  t.ok(theirs.every(({ id }) => own.has(id)), 'somebody else\'s cursor shows nothing of theirs')
  const far = Buffer.from(`${'9'.repeat(16)}.${randomUUID()}`).toString('base64url')
  t.same((await page(dee, `?cursor=${far}`)).events.map(({ id }) => id), [...own], 'nor does one that was made up')
  const [unverified] = await sessionsOf(cas, 1)
  t.equal(outcome(await unverified!.request('GET', URL)), '403 OTP_REQUIRED')
  await clock.advance(301)
  expect(200, await cas.refreshTokens())
  t.equal(outcome(await cas.request('GET', URL)), '200', 'reading needs no fresh proof')
})

t.test('E4 a query that is none', async (t) => {
  const eva = await signUp(app, 'eva')
  expect(200, await eva.login())
  const encode = (text: string) => Buffer.from(text).toString('base64url')
  const uuid = randomUUID()
  const cursors = [
    '', 'x', `${'9'.repeat(17)}.${uuid}`, `-1.${uuid}`, `1e3.${uuid}`, `1.${uuid}x`, '1.no-uuid', `1.${uuid}\n`, `infinity.${uuid}`
  ]
  for (const query of [
    'limit=0', 'limit=101', 'limit=-1', 'limit=1.5', 'limit=01', 'limit=', 'limit=1&limit=2', 'limit=１', 'cursor=', 'cursor=%00',
    'cursor=a&cursor=b', 'other=1', `cursor=${'a'.repeat(129)}`, ...cursors.map((text) => `cursor=${encode(text)}`)
  ]) {
    t.equal(outcome(await eva.request('GET', `${URL}?${query}`)), '400 REQUEST_INVALID', query)
  }
})
