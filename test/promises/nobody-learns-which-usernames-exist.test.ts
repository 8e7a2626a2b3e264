import t from 'tap'
import { bodyOf } from '../helpers/answers.js'
import { freshApp, type App } from '../helpers/app.js'
import { signUp } from '../helpers/person.js'

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
  const { app, db } = await freshApp(t)
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
