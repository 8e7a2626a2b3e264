import { pbkdf2Sync } from 'node:crypto'
import t from 'tap'
import { keepDjangoHash } from '../../src/accounts/foreign-hashes.js'
import { countOutcomes } from '../helpers/answers.js'
import { floodedWorld, HOME, OWN_LOGINS, passedFlood } from '../helpers/flood.js'
import { logInFrom } from '../helpers/logins.js'
import { expect, signUp } from '../helpers/person.js'

/*
 * Log-ins waited in one queue, by arrival. 300 log-ins in flight from the networks of one site left no place for others, and
 * slow hashes of imported accounts occupied every slot.
 */

const hex = (i: number) => (0x1000 + i).toString(16)

t.test('P2 P4 300 log-ins in flight from 300 /64s of one /48: the owner\'s known network logs in', async (t) => {
  const place = await floodedWorld(t, { NETWORK_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1' })
  expect(200, await logInFrom(place.app, HOME, 'ada', place.ada.password))
  t.equal(await passedFlood(t, place, (i) => logInFrom(place.app, `2001:db8:1:${hex(i)}::1`, `nobody${i}`, 'a guess')), OWN_LOGINS)
})

t.test('P2 P4 where a gateway limits networks, and all come from its address, accounts have their turns', async (t) => {
  const place = await floodedWorld(t, { NETWORK_LIMITS: 'off' })
  t.equal(await passedFlood(t, place, () => logInFrom(place.app, HOME, 'grace', 'a guess')), OWN_LOGINS)
})

t.test('P2 P4 300 log-ins to an imported account do not delay the others, and a guess that is not judged is given back', async (t) => {
  const { app, db, ada } = await floodedWorld(t, { TRUSTED_PROXIES: '127.0.0.1' })
  await signUp(app, 'imported')
  const hash = keepDjangoHash(`pbkdf2_sha256$400000$salt$${pbkdf2Sync('right', 'salt', 400_000, 32, 'sha256').toString('base64')}`)
  await db.query("update account set password_hash = $1 where username = 'imported'", [hash])
  let isOver = false
  const guesses = Array.from({ length: 60 }, (_, i) => logInFrom(app, `10.0.${i}.1`, 'imported', 'a guess'))
  const others = Promise.all(guesses).finally(() => { isOver = true })
  for (let i = 0; i < OWN_LOGINS; i++) expect(200, await logInFrom(app, HOME, 'ada', ada.password))
  t.notOk(isOver, 'they were still at it')
  const { '401 CREDENTIALS_INVALID': judged = 0, '503 BUSY': busy = 0, ...more } = countOutcomes(await others)
  t.same(more, {})
  t.ok(busy > 0)
  t.same(await db.query(`
    select sum(spent)::int as spent, max(spent) filter (where network = '*') as shared from password_budget where network <> $1`, [HOME]),
  [{ spent: 2 * judged, shared: judged }])
})
