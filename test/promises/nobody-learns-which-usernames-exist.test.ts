import t from 'tap'
import { freshApp, type App } from '../helpers/app.js'
import { signUp } from '../helpers/person.js'

const PAIRS = 40
/** Requests under one name before its budget would end. */
const BEFORE_REFUSAL = 8
const MOST_MS = 2

async function timed (app: App, username: string): Promise<{ ms: number, body: string }> {
  const startedAtMs = performance.now()
  const { body } = await app.inject({ method: 'POST', url: '/token', payload: { username, password: 'not the password' } })
  return { ms: performance.now() - startedAtMs, body }
}

const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN

/** Interleaved, in changing order, so that whatever else the machine does meets both alike. */
async function difference (app: App, one: string, other: string, forget: () => Promise<unknown>): Promise<number> {
  const times: Record<string, number[]> = { [one]: [], [other]: [] }
  for (let i = 0; i < PAIRS; i++) {
    if (i % BEFORE_REFUSAL === 0) await forget()
    for (const name of i % 2 === 0 ? [one, other] : [other, one]) times[name]!.push((await timed(app, name)).ms)
  }
  return Math.abs(median(times[one]!) - median(times[other]!))
}

t.test('P3 an unknown name, a wrong password and a deactivated account: one answer, medians within 2 ms', async (t) => {
  const { app, db } = await freshApp(t)
  const ada = await signUp(app, 'ada')
  const grace = await signUp(app, 'grace')
  await db.query("update account set is_active = false where username_key = 'grace'")

  const answers = await Promise.all(['ada', 'nobody', 'grace'].map((username) => app.inject({ method: 'POST', url: '/token', payload: { username, password: 'wrong' } })))
  answers.push(await grace.login())
  for (const answer of answers) {
    t.equal(answer.statusCode, 401)
    t.equal(answer.body, answers[0]!.body)
    const { date, ...headers } = answer.headers
    const { date: _, ...first } = answers[0]!.headers
    t.same(headers, first)
  }
  t.equal((await ada.login()).statusCode, 200)

  const forget = () => db.query('delete from password_budget')
  for (const name of ['nobody', 'grace']) {
    const differences: number[] = []
    do differences.push(await difference(app, 'ada', name, forget)); while (differences.at(-1)! >= MOST_MS && differences.length < 3)
    t.ok(differences.at(-1)! < MOST_MS, `ada and ${name}: ${differences.map((ms) => ms.toFixed(2)).join(', ')} ms`)
  }
})
