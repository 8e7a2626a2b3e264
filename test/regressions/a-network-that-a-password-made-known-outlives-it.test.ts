import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { resetOtp, commandLine } from '../../src/staff/changes.js'
import { setPassword } from '../../src/staff/command-line.js'
import type { Hasher } from '../../src/accounts/hasher.js'
import { countOutcomes } from '../helpers/answers.js'
import { freshApp, type App } from '../helpers/app.js'
import { secretOf } from '../helpers/authenticator.js'
import { cheapHasher } from '../helpers/cheap-hasher.js'
import { emptied } from '../helpers/emptied.js'
import { address, behindProxy, logInFrom } from '../helpers/logins.js'
import { need } from '../helpers/need.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { idOf } from '../helpers/staff.js'

/*
 * A right password made its network known, also for a user with a second factor, and a change of the password removed no
 * known network. A thief of the old password kept ten guesses per network, beside strangers' hundred, without a total limit.
 */

await need('postgres')
const shared = await freshApp(t, behindProxy, { hasher: cheapHasher })
const another = await shared.another()

async function world () {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  const known = async () => {
    const found = await db.query<{ network: string }>('select network from account_network order by 1')
    return found.map(({ network }) => network)
  }
  return { app, db, ada, known }
}

/** Sends a request of a person from an address, and keeps the tokens of the answer. */
async function from (network: string, person: Person, url: string, payload: object) {
  const headers = { 'x-forwarded-for': network, ...(person.access === null ? {} : { authorization: `Bearer ${person.access}` }) }
  const answer = await person.app.inject({ method: 'POST', url, headers, payload })
  if (answer.statusCode === 200) person.access = answer.json<{ access: string }>().access
  return answer
}

const enter = async (network: string, person: Person) =>
  await from(network, person, '/token', { username: person.username, password: person.password })

const strangers = (count: number) => Array.from({ length: count }, (_, i) => address(100 + i))

/** Sends wrong passwords at once, over both replicas. */
async function guesses (networks: readonly string[], each: number): Promise<Record<string, number>> {
  const apps: App[] = [shared.app, another]
  const all = networks.flatMap((network) => Array.from({ length: each }, () => network))
  return countOutcomes(await Promise.all(all.map((network, i) => logInFrom(apps[i % 2]!, network, 'ada', `guess ${i}`))))
}

t.test('P4 a changed password removes all known networks except the requester\'s', async (t) => {
  const { ada, known } = await world()
  const networks = Array.from({ length: 15 }, (_, i) => address(i))
  for (const network of networks) expect(200, await enter(network, ada.elsewhere()))
  t.equal((await known()).length, 15)
  expect(200, await enter(networks[0]!, ada))
  expect(200, await from(networks[0]!, ada, '/account/password', { current: ada.password, next: 'a password of another kind' }))
  t.same(await known(), [networks[0]])
  const answers = await guesses(networks, 11)
  t.same(answers, { '401 CREDENTIALS_INVALID': 110, '429 RATE_LIMITED': 55 }, 'ten of the known one, a hundred of the others')
})

t.test('P4 known networks share forty an hour, apart from the hundred of the others', async (t) => {
  const { ada, db } = await world()
  const networks = Array.from({ length: 6 }, (_, i) => address(i))
  for (const network of networks) expect(200, await enter(network, ada.elsewhere()))
  t.same(await guesses(networks, 10), { '401 CREDENTIALS_INVALID': 40, '429 RATE_LIMITED': 20 })
  t.same(await guesses(strangers(12), 10), { '401 CREDENTIALS_INVALID': 100, '429 RATE_LIMITED': 20 })
  t.same(await db.query("select count(*)::int as n from otp_event where kind = 'login_failed'"), [{ n: 140 }])
  t.equal((await enter(networks[0]!, ada)).statusCode, 429)
})

t.test('P4 strangers do not use up the known networks\' forty, nor a known network the strangers\' hundred', async (t) => {
  const { ada, db } = await world()
  expect(200, await enter(address(0), ada.elsewhere()))
  await guesses(strangers(11), 10)
  t.same(await db.query("select network, spent from password_budget where network in ('*', 'known')"), [{ network: '*', spent: 100 }])
  expect(200, await enter(address(0), ada.elsewhere()))
  t.same(await guesses([address(0)], 10), { '401 CREDENTIALS_INVALID': 10 })
  t.same(await db.query("select spent from password_budget where network = '*'"), [{ spent: 100 }])
})

t.test('P4 a success gives the shared budget its own guess back, and no more', async (t) => {
  const { ada, db } = await world()
  for (const network of [address(0), address(1)]) expect(200, await enter(network, ada.elsewhere()))
  await guesses([address(0), address(1)], 4)
  expect(200, await enter(address(0), ada.elsewhere()))
  t.same(await db.query("select network, spent from password_budget where network <> '*' order by 1"),
    [{ network: address(1), spent: 4 }, { network: 'known', spent: 8 }])
})

t.test('P4 with a second factor, a network becomes known where a session is verified', async (t) => {
  const { ada, known, app } = await world()
  expect(200, await enter(address(0), ada))
  expect(201, await from(address(0), ada, '/totp/create', {}).then((answer) => {
    const { otpUrl, recoveryCodes } = answer.json<{ otpUrl: string, recoveryCodes: string[] }>()
    ada.phone.secret = secretOf(otpUrl)
    ada.recoveryCodes = recoveryCodes
    return answer
  }))
  expect(200, await from(address(1), ada, '/totp/login', { token: await ada.nextCode() }))
  t.same(await known(), [address(0), address(1)])
  await shared.db.query("delete from password_budget where network <> '*'")
  t.same(await guesses([address(0)], 11), { '401 CREDENTIALS_INVALID': 10, '429 RATE_LIMITED': 1 })
  const unknown = await shared.db.query("select spent from password_budget where network = '*'")
  t.same(unknown, [{ spent: 10 }], 'the one that the password alone made known is a stranger')

  const thief = ada.elsewhere()
  expect(200, await enter(address(2), thief))
  t.notOk((await known()).includes(address(2)), 'a right password is not enough')
  expect(200, await from(address(3), thief, '/totp/login', { token: await ada.nextCode() }))
  expect(200, await from(address(4), thief, '/totp/login', { token: await ada.nextCode() }))
  const elsewhere = ada.elsewhere(app)
  expect(200, await enter(address(5), elsewhere))
  expect(200, await from(address(6), elsewhere, '/totp/recovery_code/login', { token: ada.recoveryCodes[0]! }))
  t.same(await known(), [0, 1, 3, 4, 6].map(address), 'verified, stepped up, recovered')
})

t.test('P4 at most twenty networks are known: the oldest is evicted', async (t) => {
  const { ada, known, db } = await world()
  const networks = Array.from({ length: 22 }, (_, i) => address(i))
  for (const network of networks) expect(200, await enter(network, ada.elsewhere()))
  t.strictSame(new Set(await known()), new Set(networks.slice(2)))
  await db.query(`
    insert into account_network select user_id, '192.0.2.' || n, last_login_at + interval '1 minute', true
    from account_network, generate_series(1, 20) n where network = $1`, [networks[21]])
  await db.query('delete from password_budget')
  await guesses([networks[21]!], 1)
  const counted = await db.query("select network from password_budget where network in ('*', 'known')")
  t.same(counted, [{ network: '*' }], 'nor while more rows are there')
})

t.test('P4 a reset by staff and a password from the command line remove all known networks', async (t) => {
  const { app, ada, known, db } = await world()
  const { db: inside, digestKey, sessions, locks, rejectedCodes, counters } = insideOf(app)
  expect(200, await enter(address(0), ada))
  const { setupCode } = await resetOtp({ db: inside, digestKey, sessions, locks, rejectedCodes, counters }, commandLine, idOf(ada), 'lost')
  t.same(await known(), [])
  expect(200, await from(address(1), ada, '/token', { username: ada.username, password: ada.password, setupCode }))
  t.same(await known(), [], 'nor does a set-up code make one known')
  await db.query('update otp_user set setup_required = false')
  expect(200, await enter(address(0), ada))
  t.same(await known(), [address(0)])
  await setPassword(inside, idOf(ada), 'x')
  t.same(await known(), [])
})

t.test('P4 a network that an earlier version wrote is not known for a user with a second factor', async (t) => {
  const { ada, db } = await world()
  await ada.enrol()
  await db.query('insert into account_network (user_id, network, last_login_at) values ($1, $2, now())', [idOf(ada), address(9)])
  await guesses([address(9)], 1)
  t.same(await db.query("select network from password_budget where spent > 0 and network in ('*', 'known')"), [{ network: '*' }])
})

t.test('P4 T12 a guess that is not judged because of our own fault is given back', async (t) => {
  let fails = false
  const hasher: Hasher = {
    ...cheapHasher,
    async verify (hash, password) {
      if (fails) throw new Error('no memory')
      return await cheapHasher.verify(hash, password)
    }
  }
  const { app, db } = await freshApp(t, behindProxy, { hasher })
  const ada = await signUp(app)
  expect(200, await ada.login())
  await db.query(`insert into password_budget (name_digest, network, window_started_at, spent)
    select 'of another', network, now(), 5 from unnest('{127.0.0.1,known,*}'::text[]) network
    union select name_digest, '192.0.2.9', now(), 5 from password_budget`)
  const others = async () => await db.query('select name_digest, network, spent from password_budget where spent > 0 order by 1, 2')
  const before = await others()
  t.equal(before.length, 4)
  fails = true
  const answers = await Promise.all(Array.from({ length: 9 }, async (_, i) => i % 3 === 0
    ? await ada.create({ password: ada.password })
    : await logInFrom(app, '127.0.0.1', i % 3 === 1 ? 'ada' : 'nobody', 'a guess')))
  t.same(countOutcomes(answers), { '500 INTERNAL_ERROR': 9 })
  t.same(await others(), before)
  fails = false
  const judged = await Promise.all(Array.from({ length: 11 }, () => logInFrom(app, '127.0.0.1', 'ada', 'a guess')))
  t.same(countOutcomes(judged), { '401 CREDENTIALS_INVALID': 10, '429 RATE_LIMITED': 1 })
})
