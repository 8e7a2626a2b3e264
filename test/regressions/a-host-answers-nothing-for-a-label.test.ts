import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { askHost, fromHeaders } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'

/*
 * A `label` that returned nothing was shown as "undefined", or failed after the device was stored. The error of a failing
 * `label` showed clients details of its database. A thief of a session could call a host's `checkPassword` without limit.
 */

await need('postgres')
const { db, clock, anotherHost } = await freshHost(t)
const at = Math.floor((await clock.now()).getTime() / 1000)

t.test('P2 a right password, and a fault of the host, cost nothing; the budget comes back', async (t) => {
  let answer: () => unknown = () => true
  const host = await anotherHost({ ...fromHeaders, checkPassword: async () => await answer() as boolean })
  const asker = { user: 'cyd', session: 'a' }
  const ask = async () => outcome(await askHost(host, asker, 'POST', '/totp/create', { password: 'x' }))
  for (let i = 0; i < 12; i++) t.equal(await ask(), '201')
  const faults = [
    Object.assign(new Error('busy'), { statusCode: 503 }),
    Object.assign(new Error('connect'), { syscall: 'connect', code: 'ECONNREFUSED' }), new TypeError('x is undefined')
  ]
  for (const fault of faults) {
    answer = () => { throw fault }
    for (let i = 0; i < 12; i++) t.match(await ask(), /^50[03]/)
  }
  answer = () => false
  for (let i = 0; i < 9; i++) t.equal(await ask(), '403 REAUTH_REQUIRED')
  answer = () => true
  t.equal(await ask(), '201', 'the network begins again')
  answer = () => false
  for (let i = 0; i < 10; i++) t.equal(await ask(), '403 REAUTH_REQUIRED')
  t.equal(await ask(), '429 RATE_LIMITED')
  await clock.advance(901)
  t.equal(await ask(), '403 REAUTH_REQUIRED')
  t.ok(
    (await db.query("select from otp_event where user_id = 'cyd' and kind = 'login_failed'")).length >= 20,
    'each refusal leaves an event'
  )
})

/** [behaviour of `label`, `label`, is the label valid?] */
const labels: ReadonlyArray<readonly [string, () => unknown, boolean]> = [
  ...[undefined, null, '', ' ', '\t\n', 7, {}, [], true, '\ud800', 'x\udfffy', 'x'.repeat(1_801), '🎉'.repeat(151)].map(
    (label) => [JSON.stringify(label), () => label, false] as const
  ),
  ['rejects', async () => { throw new Error('relation "secret_table" does not exist') }, false],
  ['rejects with nothing', async () => await Promise.reject(undefined), false], // eslint-disable-line prefer-promise-reject-errors
  ['throws', () => { throw new TypeError("Cannot read properties of undefined (reading 'name')") }, false],
  ...['ada', 'ada@example.org', 'Nguyễn: 🎉', 'x'.repeat(1_800)].map((label) => [label.slice(0, 20), async () => label, true] as const)
]

t.test('T1 an invalid label is logged, the client sees no details, and nothing is stored or consumed', async (t) => {
  for (const [i, [does, label, isLabel]] of labels.entries()) {
    const lines: string[] = []
    const host = await anotherHost({ ...fromHeaders, label: label as never, checkPassword: async () => true })
    host.log.error = ((...given: unknown[]) => {
      lines.push(String((given[0] as { err?: { message?: string } }).err?.message ?? given[1]))
    }) as never
    const user = `user ${i}`
    const answer = await askHost(host, { user, session: 'a', at }, 'POST', '/totp/create', { password: 'right' })
    t.equal(outcome(answer), isLabel ? '201' : '500 INTERNAL_ERROR', does)
    if (!isLabel) {
      t.notMatch(answer.body, /secret_table|Cannot read|label/, does)
      t.ok(lines.length > 0, `${does}: logged`)
      for (const table of ['otp_device', 'otp_recovery_code', 'otp_password_budget']) {
        t.same(await db.query(`select from ${table} where user_id = $1`, [user]), [], `${does}: ${table}`)
      }
    }
    await host.close()
  }
})

t.test('T1 an error with a status is the host\'s answer', async (t) => {
  const host = await anotherHost({
    ...fromHeaders,
    label: () => {
      throw Object.assign(new Error('No such user.'), { statusCode: 404, code: 'NO_USER' })
    }
  })
  t.equal(outcome(await askHost(host, { user: 'bob', session: 'a', at }, 'POST', '/totp/create', {})), '404 NO_USER')
})

const wrong = Object.assign(new Error('No.'), { statusCode: 403, code: 'REAUTH_REQUIRED' })
/** [kind of refusal, `checkPassword`'s refusal, answer] */
const refusals: ReadonlyArray<readonly [string, () => unknown, string]> = [
  ['an error with a status', () => { throw wrong }, '403 REAUTH_REQUIRED'],
  ['false', () => false, '403 REAUTH_REQUIRED'],
  ['nothing', async () => await Promise.reject(undefined), '403 REAUTH_REQUIRED'], // eslint-disable-line prefer-promise-reject-errors
  ['an error without a status', () => { throw new Error('wrong password') }, '500 INTERNAL_ERROR']
]

t.test('P2 fifty wrong passwords at once, at two replicas: ten are judged, in every way that the host refuses them', async (t) => {
  for (const [says, refuse, answered] of refusals) {
    let asked = 0
    const options = {
      ...fromHeaders,
      async checkPassword (_request: unknown, _userId: string, password: string) {
        asked++
        return password === 'right' ? undefined : await refuse() as boolean
      }
    }
    const hosts = [await anotherHost(options), await anotherHost(options)]
    const asker = { user: says, session: 'a' }
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => askHost(hosts[i % 2]!, asker, 'POST', '/totp/create', { password: `guess ${i}` }))
    )
    t.ok(
      answers.every((answer) => [answered, '429 RATE_LIMITED', '503 UNAVAILABLE'].includes(outcome(answer))),
      JSON.stringify(countOutcomes(answers))
    )
    t.ok(answers.filter((answer) => outcome(answer) === answered).length <= asked && asked <= 10, `${says}: ${asked} were judged`)
    for (let i = 0; i < 11; i++) await askHost(hosts[i % 2]!, asker, 'POST', '/totp/create', { password: `another ${i}` })
    t.ok(asked <= 10 && asked > 0, `${says}: ${asked} were judged`)
    const late = await askHost(hosts[0]!, asker, 'POST', '/totp/create', { password: 'right' })
    t.equal(outcome(late), '429 RATE_LIMITED')
    t.ok(Number(late.headers['retry-after']) > 600)
    t.equal(
      outcome(await askHost(hosts[0]!, { user: `not ${says}`, session: 'a' }, 'POST', '/totp/create', { password: 'right' })),
      '201',
      'each user has a budget of its own'
    )
    await Promise.all(hosts.map((host) => host.close()))
  }
})

t.test('P2 all networks together have a hundred for a user and hour', async (t) => {
  const host = await anotherHost({ ...fromHeaders, checkPassword: async () => false })
  let judged = 0
  for (let network = 1; network <= 12; network++) {
    for (let i = 0; i < 10; i++) {
      const { statusCode } = await host.inject({
        method: 'POST',
        url: '/app/2fa/create',
        remoteAddress: `192.0.2.${network}`,
        headers: { user: 'dan', session: 'a' },
        payload: { password: 'x' }
      })
      if (statusCode === 403) judged++
    }
  }
  t.equal(judged, 100)
})
