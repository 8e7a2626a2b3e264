import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { cheapHasher } from '../helpers/cheap-hasher.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { rowsOf } from '../helpers/twin.js'

/* A repeated change by staff changes nothing, in no state of the user's rows. */

await need('postgres')
const { app, db, clock } = await freshApp(t, {}, { hasher: cheapHasher })
const grace = await staffAt({ app, db })

t.test('J5 a repeated deactivation or reactivation changes nothing; a reactivation ends no session', async (t) => {
  const ada = await signUp(app)
  expect(200, await ada.login())
  const id = idOf(ada)
  const change = async (to: 'deactivate' | 'reactivate') =>
    expect(204, await grace.request('POST', `/admin/users/${id}/${to}`, { reason: 'a test' }))
  const state = async () => JSON.stringify([
    await rowsOf(db.query, id), await db.query('select ended_before, ended_xid::text from otp_revocation where user_id = $1', [id])
  ])
  // A session that lives where an earlier version or SQL changed the account alone.
  const revive = async () => await db.query('update otp_session set ended_at = null, end_reason = null where user_id = $1', [id])
  const living = async () => (await db.query('select from otp_session where user_id = $1 and ended_at is null', [id])).length

  await change('deactivate')
  await revive()
  const deactivated = await state()
  await clock.advance(60)
  await change('deactivate')
  t.equal(await state(), deactivated)
  await change('reactivate')
  t.equal(await living(), 1)
  const reactivated = await state()
  t.not(reactivated, deactivated)
  await clock.advance(60)
  await change('reactivate')
  t.equal(await state(), reactivated)
})

t.test('mails that nothing stopped are not resumed: no event, no change', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  const before = await rowsOf(db.query, idOf(bob))
  expect(204, await grace.request('POST', `/admin/users/${idOf(bob)}/resume-mail`, { reason: 'a test' }))
  t.same(await rowsOf(db.query, idOf(bob)), before)
})
