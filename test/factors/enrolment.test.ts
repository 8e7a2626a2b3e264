import { randomUUID } from 'node:crypto'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { digestsOf, newEnrolment } from '../../src/factors/enrolment.js'
import { devicePlace } from '../../src/factors/totp/verification.js'
import { createUser } from '../../src/staff/command-line.js'
import { freshApp } from '../helpers/app.js'
import { stepAt } from '../helpers/authenticator.js'
import { expect, Person, signUp, userId } from '../helpers/person.js'

const { app, db, clock } = await freshApp(t)

/** Facts of a user with one device, without values that differ between any two users. */
const factsOf = async (id: string) => await db.query(`
  select u.version, u.setup_required, u.failures, d.kind, d.name, d.session_id, d.expires_at, d.seed, d.failures as tried,
    d.confirmed_at is not null as confirmed,
    f.digits, f.period_seconds, f.t0_seconds, f.last_step, f.weak, f.last_used_at is not null as used,
    (select array_agg(distinct row(c.form, c.weak, c.used_at, c.pending_device_id)::text) from otp_recovery_code c
      where c.user_id = u.user_id) as codes,
    (select count(*)::int from otp_recovery_code c where c.user_id = u.user_id) as count
  from otp_user u join otp_device d on d.user_id = u.user_id
    join otp_totp f on f.user_id = d.user_id and f.device_id = d.id where u.user_id = $1`, [id])

t.test('a user that the command line enrols has the rows of one who set the device up over HTTP', async (t) => {
  await clock.freeze()
  const ada = await (await signUp(app, 'ada')).enrol()
  const { db: ours, seal, digestKey } = insideOf(app)
  const [id, step] = [randomUUID(), stepAt(await clock.now())]
  const { secret, recoveryCodes, ...device } = newEnrolment(ada.recoveryCodes.length)
  await createUser(ours, {
    account: {
      id, username: 'bob', usernameKey: 'bob', passwordHash: '!', email: '', firstName: '', lastName: '', phone: '', locale: null
    },
    isStaff: false,
    device: {
      ...device,
      name: 'Authenticator',
      sealedSecret: seal.seal(secret, devicePlace(id, device)),
      step,
      digests: digestsOf(await digestKey(), id, recoveryCodes)
    },
    setup: null
  })
  const [facts] = await factsOf(id)
  t.match(facts, { kind: 'totp', confirmed: true, last_step: step, count: ada.recoveryCodes.length })
  t.same([facts], await factsOf(userId(ada)))

  const [{ password_hash: passwordHash }] = await db.query('select password_hash from account where username = $1', ['ada']) as [
    { password_hash: string }
  ]
  await db.query('update account set password_hash = $1 where username = $2', [passwordHash, 'bob'])
  const bob = new Person({ app, username: 'bob', password: ada.password, phone: { secret, lastStep: step } })
  expect(200, await bob.login())
  t.equal((await bob.verify(await bob.code())).statusCode, 400, 'the code that confirmed it is used')
  expect(200, await bob.verify())
  expect(200, await bob.recover(recoveryCodes[0]!))
})
