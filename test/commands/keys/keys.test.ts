import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import t from 'tap'
import { insideOf } from '../../../src/attach/inside.js'
import { newKeyCommand } from '../../../src/commands/keys/new-key.js'
import { readConfig } from '../../../src/config/config.js'
import { replaceSealed } from '../../../src/staff/reseal.js'
import { freshApp } from '../../helpers/app.js'
import { command, start, worked } from '../../helpers/command.js'
import { bringOver, generateDjango } from '../../helpers/django.js'
import { freshDatabase } from '../../helpers/database.js'
import { need } from '../../helpers/need.js'
import { signUp } from '../../helpers/person.js'
import { until } from '../../helpers/wait.js'

await need('postgres')

const OLD = `old:${randomBytes(32).toString('base64url')}`
const { app, db, settings, another } = await freshApp(t, { REDIS_URL: '', SEAL_KEYS: OLD }, { namespace: 'countersign' })

t.test('J9 keys new: an entry that the server takes, another one each time', async (t) => {
  const [hs, ed, seal, seal2] = await Promise.all(
    ['HS256', 'EdDSA', 'seal', 'seal'].map(async (kind) => (await worked((io) => newKeyCommand(io, kind))).stdout.trim())
  )
  t.not(seal, seal2)
  t.equal(readConfig({ ...settings, JWT_KEYS: hs!, SEAL_KEYS: `${seal},${seal2}` }).sealKeys?.length, 2)
  t.equal(readConfig({ ...settings, JWT_ALG: 'EdDSA', JWT_KEYS: ed!, SEAL_KEYS: seal! }).jwtKeys?.length, 1)
  t.match(await command(['keys', 'new', 'rsa'], {}), { code: 2, stderr: /one of HS256, EdDSA, seal/ })
})

t.test('T6 R7 keys rotate: while the service runs, killed half-way and started again, nobody is shut out', async (t) => {
  const many = await freshDatabase(t)
  await generateDjango(many.url, 4000)
  await bringOver(app, many.url)
  const ada = await (await signUp(app)).enrol()
  const canLogIn = async (at: typeof app) => {
    const session = ada.elsewhere(at)
    return (await session.login()).statusCode === 200 && (await session.verify()).statusCode === 200
  }
  const rotated = { ...settings, SEAL_KEYS: `${(await command(['keys', 'new', 'seal'], {})).stdout.trim()},${OLD}` }
  const kid = rotated.SEAL_KEYS.split(':')[0]!
  const stale = async () => (await db.query<{ count: number }>(
    "select count(*)::int as count from otp_totp where split_part(secret, '.', 1) <> $1", [kid]
  ))[0]!.count

  const total = await stale()
  const killed = start(['keys', 'rotate'], rotated)
  await until('the first batch', async () => await stale() < total)
  killed.kill('SIGKILL')
  await once(killed, 'close')
  const left = await stale()
  t.ok(left > 0 && left < total, `${left} of ${total} are left`)
  const both = await another({ SEAL_KEYS: rotated.SEAL_KEYS })
  t.ok(await canLogIn(both), 'half-way')

  const before = await stale()
  t.match(
    await command(['keys', 'rotate'], settings), { code: 1, stdout: /not opened by any of SEAL_KEYS/ },
    'with the old key alone: told, not hidden'
  )
  t.equal(await stale(), before, 'nothing was lost')
  const again = JSON.parse((await command(['keys', 'rotate', '--json'], rotated)).stdout)
  t.match(again, { kid, left: 0 })
  t.equal(await stale(), 0)
  t.match(JSON.parse((await command(['keys', 'rotate', '--json'], rotated)).stdout), { resealed: 0, left: 0 })

  const withoutOld = await another({ SEAL_KEYS: rotated.SEAL_KEYS.split(',')[0]! })
  t.ok(await canLogIn(both))
  t.ok(await canLogIn(withoutOld), 'the old key can go')
  const [profile] = await db.query<{ user_id: string, id: string, credentials: string }>('select * from account_oauth_profile limit 1')
  const place = { table: 'account_oauth_profile', row: profile!.id, userId: profile!.user_id }
  t.match(insideOf(withoutOld).seal.open(profile!.credentials, place).plain.toString(), 'access_token')
  t.same(await insideOf(withoutOld).digestKey(), await insideOf(app).digestKey(), 'printed recovery codes live')
})

t.test('a row that changed since it was read keeps what it has', async (t) => {
  const [row] = await db.query<{ userId: string, row: string, sealed: string }>(
    'select user_id as "userId", device_id as row, secret as sealed from otp_totp limit 1'
  )
  t.equal(await replaceSealed(app.database, 'otp_device', [{ ...row!, sealed: `${row!.sealed}x`, resealed: 'lost' }]), 0)
  t.same(await db.query("select 1 from otp_totp where secret = 'lost'"), [])
  t.equal(await replaceSealed(app.database, 'otp_device', [{ ...row!, resealed: row!.sealed }]), 1)
})
