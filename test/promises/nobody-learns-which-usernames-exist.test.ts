import t from 'tap'
import { bodyOf } from '../helpers/answers.js'
import { freshApp, type App } from '../helpers/app.js'
import { mailServer } from '../helpers/mail-server.js'
import { verifyAddress } from '../helpers/mails.js'
import { expect, signUp } from '../helpers/person.js'

const PAIRS = 40
/** Largest number of pairs, for medians that still seem to differ. */
const MOST_PAIRS = 200
/** Number of requests under one name before its budget ends. */
const BEFORE_REFUSAL = 8
const MOST_MS = 2

interface Credentials { username: string, password: string }

async function refusedInMs (app: App, payload: Credentials): Promise<number> {
  const startedAtMs = performance.now()
  await app.inject({ method: 'POST', url: '/token', payload })
  return performance.now() - startedAtMs
}

const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN

/**
 * Returns how much longer the second request takes than the first, in ms, pair by pair. The order of a pair changes, so that
 * other load on the machine affects both alike.
 */
async function differences (app: App, one: Credentials, other: Credentials, forget: () => Promise<unknown>): Promise<number[]> {
  const found: number[] = []
  for (let i = 0; i < PAIRS; i++) {
    if (i % BEFORE_REFUSAL === 0) await forget()
    const times = new Map<Credentials, number>()
    for (const each of i % 2 === 0 ? [one, other] : [other, one]) times.set(each, await refusedInMs(app, each))
    found.push(times.get(one)! - times.get(other)!)
  }
  return found
}

t.test('P3 an unknown name, a wrong password and a deactivated account: one answer, medians within 2 ms', async (t) => {
  const { app, db } = await freshApp(t, {}, { hasher: 'dear' })
  const ada = await signUp(app, 'ada')
  const grace = await signUp(app, 'grace')
  await db.query("update account set is_active = false where username_key = 'grace'")

  const answers = await Promise.all(
    ['ada', 'nobody', 'grace'].map((username) => app.inject({ method: 'POST', url: '/token', payload: { username, password: 'wrong' } }))
  )
  answers.push(await grace.login())
  for (const answer of answers) {
    t.equal(answer.statusCode, 401)
    t.equal(bodyOf(answer), bodyOf(answers[0]!))
    const { date, 'x-request-id': id, ...headers } = answer.headers
    const { date: _, 'x-request-id': __, ...first } = answers[0]!.headers
    t.same(headers, first)
  }
  t.equal((await ada.login()).statusCode, 200)

  const forget = () => db.query('delete from password_budget')
  const password = 'not the password'
  const others = [{ username: 'nobody', password }, { username: 'grace', password }, { username: 'grace', password: grace.password }]
  for (const other of others) {
    const all: number[] = []
    const isApart = () => Math.abs(median(all)) >= MOST_MS
    do all.push(...await differences(app, { username: 'ada', password }, other, forget)); while (isApart() && all.length < MOST_PAIRS)
    const what = `${other.username} with ${other.password === password ? 'a wrong' : 'the right'} password`
    t.notOk(isApart(), `ada and ${what}: ${median(all).toFixed(2)} ms over ${all.length} pairs`)
  }
})

/** Calls for each of two names. */
const CALLS = 200

t.test('N3 a forgotten password: one answer for any name, medians within 2 ms, and the same rows however many are asked for', async (t) => {
  const server = await mailServer(t)
  const { app, db } = await freshApp(t, { MAIL_URL: server.url }, { hasher: 'dear' })
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  await verifyAddress(server, ada, 'ada@example.org')
  await signUp(app, 'unverified')
  const rows = async () => (await db.query<{ n: number }>('select count(*)::int as n from account_link'))[0]!.n
  const forgot = async (username: string) => await app.inject({ method: 'POST', url: '/password/forgot', payload: { username } })

  const names = ['ada', 'nobody', 'unverified']
  const times = new Map(names.map((name) => [name, [] as number[]]))
  const before = await rows()
  for (let i = 0; i < CALLS; i++) {
    // The order changes, so that other load on the machine affects all alike.
    for (const name of names.map((_, k) => names[(i + k) % names.length]!)) {
      const startedAtMs = performance.now()
      const answer = await forgot(name)
      times.get(name)!.push(performance.now() - startedAtMs)
      if (answer.statusCode !== 202) throw new Error(answer.body)
    }
  }
  t.equal(await rows() - before, CALLS * names.length, 'a link more or less would take its time')
  const [first, ...others] = await Promise.all(names.map(forgot))
  for (const { body, headers } of others) {
    t.equal(body, first!.body)
    t.same(Object.keys(headers), Object.keys(first!.headers))
  }
  for (const name of names.slice(1)) {
    const apart = median(times.get(name)!) - median(times.get('ada')!)
    t.ok(Math.abs(apart) < MOST_MS, `${name}: ${apart.toFixed(2)} ms`)
  }
  const links = await db.query('select from account_link l join account a on a.id = l.user_id')
  t.equal(links.length, 3, 'three at most are good')
})
