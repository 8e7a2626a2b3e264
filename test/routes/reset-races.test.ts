import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { need } from '../helpers/need.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { sized } from '../helpers/thorough.js'

await need('postgres')

const shared = await freshApp(t)
const replica = await shared.another()

const code = (answer: { json: () => { code?: string } }) => answer.json().code
const RACERS = 50
const REASON = 'Lost the phone; came to the desk.'

async function reset (grace: Person, ada: Person): Promise<{ setupCode: string, expiresAt: string }> {
  return expect(200, await grace.request('POST', `/admin/users/${idOf(ada)}/reset-otp`, { reason: REASON })).json()
}

t.test(`one code, ${RACERS} racers over two replicas, one session`, async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  const { setupCode } = await reset(grace, ada)
  // From many networks: another test covers the budget of guesses.
  const answers = await Promise.all(Array.from({ length: RACERS }, (_, i) => [fresh.app, replica][i % 2]!.inject({
    method: 'POST', url: '/token', remoteAddress: `198.51.100.${i}`, payload: { username: ada.username, password: ada.password, setupCode }
  })))
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
  t.equal(answers.filter((answer) => code(answer) === 'SETUP_CODE_REQUIRED').length, RACERS - 1)
  t.same(
    await fresh.db.query('select count(*)::int as living from otp_session where user_id = $1 and ended_at is null', [idOf(ada)]),
    [{ living: 1 }]
  )
})

t.test('T8 what raced the reset gives nothing: log-ins, codes, recovery codes, a set-up', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  for (let round = 0; round < sized(3, 6); round++) {
    const ada = await (await signUp(fresh.app, `ada${round}`)).enrol()
    const pending = await Promise.all(Array.from({ length: 5 }, async () => {
      const there = ada.elsewhere(replica)
      expect(200, await there.login())
      return there
    }))
    const codeNow = await ada.nextCode()
    await Promise.all([
      reset(grace, ada),
      ...pending.map((there, i) => i === 0 ? there.verify(codeNow) : there.recover(ada.recoveryCodes[i])),
      ada.create(),
      ada.elsewhere(replica).login()
    ])
    const [left] = await fresh.db.query(`
      select (select count(*)::int from otp_session s where s.user_id = $1 and ended_at is null) as living,
        (select count(*)::int from otp_device d where d.user_id = $1) as devices,
        (select setup_required from otp_user u where u.user_id = $1) as due`, [idOf(ada)])
    t.same(left, { living: 0, devices: 0, due: true })
  }
})
