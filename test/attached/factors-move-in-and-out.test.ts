import { randomBytes } from 'node:crypto'
import t from 'tap'
import { importFactors } from '../../src/attach/moving.js'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { openPool } from '../helpers/database.js'
import { holdStatement } from '../helpers/held-statement.js'
import { shown } from '../helpers/moving.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

await need('postgres')
const namespace = `test_${randomBytes(6).toString('hex')}`
const { app, db, clock, settings, anotherHost } = await freshHost(t, {}, { namespace })
const key = Buffer.from('12345678901234567890')
const options = { actorId: 'migration' }

t.test('factors come, living sessions owe a code at once, and a second run changes nothing', async (t) => {
  const [ada, bob] = [await signUp(app, 'ada'), await (await signUp(app, 'bob')).enrol()]
  expect(200, await ada.login())
  t.equal((await ada.request('GET', '/session')).statusCode, 200)
  const records = [
    { userId: userId(ada), totp: [{ secret: key, lastStep: 0 }], recoveryCodes: [{ code: 'abcd-efgh-1' }] },
    { userId: userId(bob), totp: [{ secret: key }] },
    { userId: 'tiny', totp: [{ secret: { text: 'short' } }] },
    { userId: 'odd', totp: [{ secret: { hex: 'zz' } }] },
    { userId: 'unknown', totp: [], more: 1 } as never
  ]
  const rehearsed = await app.countersign.importFactors(records, { ...options, rehearse: true })
  t.match(rehearsed, { brought: 1, skipped: 1, faults: [{ userId: 'tiny' }, { userId: 'odd' }, { userId: 'unknown' }] })
  t.equal((await ada.request('GET', '/session')).statusCode, 200, 'a rehearsal changes nothing')
  t.same(await app.countersign.importFactors(records, options), rehearsed)
  t.equal((await ada.request('GET', '/session')).statusCode, 403, 'owes a code')
  expect(200, await ada.verify(shown({ key }, await clock.now())))
  t.equal((await ada.request('GET', '/session?required')).statusCode, 200)
  t.match(await app.countersign.importFactors(records.slice(0, 1), options), { brought: 0, skipped: 1, faults: [] })
  t.same(await db.query("select actor_id from otp_event where kind = 'imported'"), [{ actor_id: 'migration' }])
  await t.rejects(app.countersign.importFactors([], { actorId: '' }), { name: 'TypeError' })
})

t.test('a second run brings back nothing that was removed or reset', async (t) => {
  const [fay, gus, hal] = [await signUp(app, 'fay'), await (await signUp(app, 'gus')).enrol(), await signUp(app, 'hal')]
  for (const person of [fay, hal]) expect(200, await person.login())
  const records = [fay, hal].map((person) => ({ userId: userId(person), totp: [{ secret: key, lastStep: 0 }] }))
  t.match(await app.countersign.importFactors(records, options), { brought: 2 })
  expect(200, await fay.verify(shown({ key }, await clock.now())))
  expect(200, await fay.request('DELETE', '/totp/delete'))
  await app.countersign.reset(userId(hal), { actorId: 'staff', reason: 'lost' })
  await app.countersign.reset(userId(gus), { actorId: 'staff', reason: 'lost' })
  const again = [...records, { userId: userId(gus), totp: [{ secret: key, lastStep: 0 }] }]
  t.match(await app.countersign.importFactors(again, options), { brought: 0, skipped: 3, faults: [] })
  await db.query('delete from countersign.otp_event')
  t.match(await app.countersign.importFactors(again, options), { brought: 0, skipped: 3, faults: [] }, 'after EVENTS_DAYS too')
})

t.test('a password that came before the import removes no factor and makes no codes, also in a request that is under way', async (t) => {
  const changes = [['POST', '/totp/recovery_code/create'], ['DELETE', '/totp/delete']] as const
  for (const [i, [method, path]] of changes.entries()) {
    const eve = await signUp(app, `eve${i}`)
    expect(200, await eve.login())
    const held = holdStatement('insert into "countersign"."otp_user"')
    const asked = eve.request(method, path)
    await held.reached
    const record = { userId: userId(eve), totp: [{ secret: key, lastStep: 0 }] }
    t.match(await app.countersign.importFactors([record], options), { brought: 1 })
    held.release()
    t.equal(outcome(await asked), '403 OTP_REQUIRED', path)
    expect(200, await eve.verify(shown({ key }, await clock.now())))
    t.match((await eve.request('GET', '/totp/status')).json(), { isOtpEnabled: true, recoveryCodesLeft: 0 })
  }
})

t.test('a key comes once: of two devices with it, the second would accept a used code', async (t) => {
  const ida = await signUp(app, 'ida')
  expect(200, await ida.login())
  const [one, filled, other] = [Buffer.alloc(20, 1), Buffer.concat([Buffer.alloc(20, 1), Buffer.alloc(4)]), Buffer.alloc(20, 2)]
  const totp = [{ secret: one }, { secret: { hex: one.toString('hex') }, name: 'old phone' }, { secret: filled }, { secret: other }]
  const records = [{ userId: userId(ida), totp: totp.map((device) => ({ ...device, lastStep: 0 })) }]
  t.match(await app.countersign.importFactors(records, options), { brought: 1, faults: { length: 2 } })
  const code = shown({ key: one }, await clock.now())
  expect(200, await ida.verify(code))
  const again = ida.elsewhere()
  expect(200, await again.login())
  t.equal(outcome(await again.verify(code)), '400 OTP_INVALID')
  t.equal((await again.verify(shown({ key: other }, await clock.now()))).statusCode, 200)
})

t.test('a script imports them, and every replica refuses within a second', async (t) => {
  const replica = await anotherHost({})
  const cyd = await signUp(app, 'cyd')
  expect(200, await cyd.login())
  const there = cyd.elsewhere(replica)
  there.access = cyd.access
  for (const at of [cyd, there]) t.equal((await at.request('GET', '/session')).statusCode, 200)
  const pool = openPool(db.url!)
  t.teardown(() => pool.end())
  const records = [{ userId: userId(cyd), totp: [{ secret: { text: 'twenty bytes of text' }, lastStep: 0 }] }]
  const result = await importFactors(pool, records, { ...options, sealKeys: settings['SEAL_KEYS']!, namespace })
  t.same(result, { brought: 1, skipped: 0, faults: [] })
  for (const at of [cyd, there]) {
    await until('the session owes a code', async () => (await at.request('GET', '/session')).statusCode === 403, 5000)
  }
  expect(200, await there.verify(shown({ key: Buffer.from('twenty bytes of text') }, await clock.now())))
})

t.test('what leaves comes in elsewhere', async (t) => {
  const elsewhere = await freshHost(t)
  const out = []
  for await (const one of app.countersign.exportFactors({ actorId: 'migration', reason: 'move' })) out.push(one)
  t.ok(out.length >= 3)
  const dan = await signUp(elsewhere.app, 'dan')
  expect(200, await dan.login())
  const record = out.find(({ record }) => record.totp?.some(({ secret }) => 'hex' in secret && secret.hex === key.toString('hex')))!.record
  t.match(await elsewhere.app.countersign.importFactors([{ userId: userId(dan), ...record }], options), { brought: 1, faults: [] })
  expect(200, await dan.login())
  t.match((await dan.recover('abcd-efgh-1')).json(), { recoveryCodesLeft: 0 })
})
