import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { insideOf } from '../../../src/attach/inside.js'
import { claimMails, giveUpMails } from '../../../src/events/mail/claims.js'
import { claimDeliveries, WEBHOOK } from '../../../src/events/outbox.js'
import { freshApp } from '../../helpers/app.js'
import { need } from '../../helpers/need.js'
import { expect, signUp, userId, type Person } from '../../helpers/person.js'
import { explainAll, nameOf, type Plan } from '../../helpers/plans.js'
import { differences } from '../../load/plans-at.js'

await need('postgres')
t.setTimeout(90_000)

const WAITING = 100_000

// Nothing listens there: each mail waits for its next attempt.
const { app, db } = await freshApp(t, { MAIL_URL: 'smtp://127.0.0.1:1' })

/** Operations that write mails, of a new user. @returns the plan of each statement */
async function life (name: string): Promise<Map<string, Plan>> {
  const plans = new Map<string, Plan>()
  const explained = async (work: () => Promise<unknown>) => {
    const explaining = explainAll()
    await work().finally(explaining.stop)
    for (const [statement, plan] of explaining.plans) plans.set(statement, plan)
    for (const [statement, plan] of explaining.generic) plans.set(`prepared: ${statement}`, plan)
  }
  const person = await signUp(app, name)
  const forgot = async (username: string) => expect(202, await person.request('POST', '/password/forgot', { username }, null))
  await explained(async () => {
    expect(200, await person.login())
    expect(202, await person.request('POST', '/account/email/verify'))
  })
  await db.query('update account set email_verified_at = clock_timestamp() where username = $1', [name])
  await explained(async () => {
    await forgot(name)
    await forgot(randomUUID())
    expect(201, await person.create())
    expect(200, await person.confirm())
    await recovered(person)
    expect(200, await person.request('DELETE', '/totp/delete'))
  })
  // Statements of the delivery, which runs meanwhile.
  return new Map([...plans].filter(([statement]) => !statement.includes('skip locked') && !statement.includes('"settled"')))
}

async function recovered (person: Person): Promise<void> {
  const elsewhere = person.elsewhere()
  expect(200, await elsewhere.login())
  expect(200, await elsewhere.recover(person.recoveryCodes[0]))
  person.access = elsewhere.access
}

/** Checks that one claim read tens of rows, not all that wait. */
function readsFew (t: Test, { plans, generic }: ReturnType<typeof explainAll>): void {
  for (const explained of [plans, generic]) {
    const [[, { nodes }]] = [...explained].filter(([statement]) => statement.includes('skip locked')) as [[string, Plan]]
    t.ok(nodes[0]!.pages < 600, nodes.map(({ what, pages }) => `${what} (${pages})`).join(', '))
  }
}

t.test('a hundred thousand waiting mails change the plan of no statement, and add no more pages than deeper indexes have', async (t) => {
  const few = await life('ada')
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  // Of other users, and a tenth of one: as after a day without the mail server. Two become due in a second, on any machine few of all.
  await db.query(`
    insert into otp_delivery (user_id, id, destination, due_at, expires_at, attempts, payload, created_at)
    select case when i % 10 = 0 then $1 else gen_random_uuid()::text end, gen_random_uuid(), 'mail',
      clock_timestamp() + interval '12 hours' * random(), clock_timestamp() + interval '2 days', 9, repeat('x', 200), clock_timestamp()
    from generate_series(1, $2::int) i`, [userId(bob), WAITING])
  await db.query('vacuum analyze otp_delivery')
  const many = await life('cyd')
  t.ok(few.size > 30, `${few.size} statements`)
  const mails = [...many].filter(([statement]) => statement.includes('otp_delivery'))
  t.ok(mails.length >= 6, 'some write into the outbox')
  t.strictSame(differences(few, many), [])
  const whole = mails.filter(([, { nodes }]) => nodes.some(({ what }) => what === 'Seq Scan otp_delivery')).map(([text]) => nameOf(text))
  t.strictSame(whole, [], 'none reads all of them')
})

t.test('the delivery reads ten that are due, not those that wait: all are thousands of pages', async (t) => {
  const explaining = explainAll()
  await claimMails(insideOf(app).db).finally(explaining.stop)
  readsFew(t, explaining)
})

t.test('nor does the look for deliveries whose time is over', async (t) => {
  const explaining = explainAll()
  await giveUpMails(insideOf(app).db, 10).finally(explaining.stop)
  readsFew(t, explaining)
})

t.test('nor does the claim for a webhook', async (t) => {
  await db.query("update otp_delivery set destination = 'webhook'")
  await db.query('vacuum analyze otp_delivery')
  const explaining = explainAll()
  await claimDeliveries(insideOf(app).db, WEBHOOK, 10).finally(explaining.stop)
  readsFew(t, explaining)
})
