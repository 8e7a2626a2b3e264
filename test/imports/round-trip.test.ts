/** A database with every kind of row leaves, comes in under other keys, leaves again and comes in again: all three answer alike. */
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hash as bcrypt } from '@node-rs/bcrypt'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { exportJsonlCommand } from '../../src/commands/export.js'
import { importJsonlCommand } from '../../src/commands/import/jsonl.js'
import { readConfig } from '../../src/config/config.js'
import { asCleaner } from '../../src/cleanup/cleanup.js'
import { createHardening } from '../../src/factors/recovery/hardening.js'
import type { ImportReport } from '../../src/imports/report.js'
import type { SoftPasskey } from '../../src/testing/soft-passkey.js'
import { freshApp, type Fresh } from '../helpers/app.js'
import { worked } from '../helpers/command.js'
import { bringOver, djangoDump, onePersonOfEachKind, people } from '../helpers/django.js'
import { until } from '../helpers/wait.js'
import { importLines, mover, shown, type App2fa } from '../helpers/moving.js'
import { need } from '../helpers/need.js'
import { addPasskey, newPasskey, use } from '../helpers/passkeys.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { staffAt } from '../helpers/staff.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'
import { sized } from '../helpers/thorough.js'

await need('postgres')
t.setTimeout(600_000)

const fresh = () => freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
const [first, second, third] = [await fresh(), await fresh(), await fresh()]
const { app, db } = first
const at = await first.clock.now()
await first.clock.freeze(at)

/** User with all that opens the account. */
interface Known { username: string, password: string, phones: App2fa[], passkeys: SoftPasskey[], codes: string[] }
const known: Known[] = []
const knowing = ({ username, password, phone, recoveryCodes }: Person, passkeys: SoftPasskey[] = []) => {
  known.push({ username, password, phones: phone.secret === undefined ? [] : [{ key: phone.secret }], passkeys, codes: recoveryCodes })
}

async function own (): Promise<void> {
  const ada = await (await signUp(app, 'ada')).enrol()
  const [usedUp] = ada.recoveryCodes
  expect(200, await ada.recover(usedUp))
  knowing(ada)
  knowing(await staffAt(first, 'staff'))
  knowing(await signUp(app, 'plain'))
  const pending = await signUp(app, 'pending')
  expect(200, await pending.login())
  expect(201, await pending.create())
  knowing(pending)
  for (const options of [{}, { algorithm: 'EdDSA' }, { algorithm: 'RS256' }, { synced: true }] as const) {
    const person = await signUp(app, `key${JSON.stringify(options).replace(/\W/g, '')}`)
    expect(200, await person.login())
    knowing(person, [await addPasskey(person, newPasskey(options), { name: 'a key' })])
  }
  const both = await (await signUp(app, 'both')).enrol()
  knowing(both, [await addPasskey(both)])
  const locale = await signUp(app, 'locale')
  await db.query(`update account set email_verified_at = clock_timestamp(), locale = 'fr', phone = '+1', first_name = 'F', last_name = 'L'
    where username = 'locale'`)
  knowing(locale)
}

const PASSWORD = 'pässword of the old system'
const key = Buffer.from('12345678901234567890')
const printed = ['weak1-code1', 'abcdefghijklmnopqrstuvwxyz0123']

async function moved (): Promise<void> {
  const passwordHash = await bcrypt(PASSWORD, 4)
  const totp = [{ secret: { hex: key.toString('hex') } }]
  await importLines(app, [
    {
      username: 'codes',
      passwordHash,
      totp,
      recoveryCodes: [
        ...printed.map((code) => ({ code })),
        { digest: createHash('sha512').update('IL1UABCDEF12').digest('base64'), algorithm: 'sha512' }
      ]
    },
    { username: 'short', passwordHash, totp: [{ secret: { text: '1234567890' }, algorithm: 'SHA512', digits: 8, periodSeconds: 60 }] },
    { username: 'readings', passwordHash, totp: [{ ...totp[0], otherSecret: { text: 'another reading' } }] },
    { username: 'owing', passwordHash, owesFactor: true },
    { username: 'inactive', passwordHash, totp, isActive: false },
    { username: 'no-password', totp },
    { username: 'long', passwordHash: await bcrypt('x'.repeat(80), 4) }
  ])
  const of = (username: string, phones: App2fa[], codes: string[] = [], password = PASSWORD) => {
    known.push({ username, password, phones, passkeys: [], codes })
  }
  of('codes', [{ key }], [...printed, 'IL1U-ABCD-EF12'])
  of('short', [{ key: Buffer.from('1234567890'), algorithm: 'sha512', digits: 8, period: 60 }])
  of('readings', [{ key: Buffer.from('another reading') }])
  for (const username of ['owing', 'inactive', 'no-password']) of(username, [{ key }])
  of('long', [], [], 'x'.repeat(75))
  await bringOver(app, (await djangoDump(t)).url)
  for (const { username, password, devices, recoveryCodes } of sized(onePersonOfEachKind, people)) {
    if (password === null) continue
    of(username, devices.map(({ hex, digits }) => ({ key: Buffer.from(hex, 'hex'), digits })), recoveryCodes, password)
  }
}

const folder = await temporaryFolder(t)
const keyFile = join(folder, 'key')
await writeFile(keyFile, randomBytes(32).toString('base64url'), { mode: 0o600 })

/** Moves everybody by the two commands. @returns what stayed behind */
async function move (from: Fresh, to: Fresh): Promise<string> {
  const exported = await worked((io) => exportJsonlCommand(io, readConfig(from.settings), { withSecrets: true, keyFile, reason: 'move' }))
  await writeFile(join(folder, 'users'), exported.stdout)
  const imported = await worked((io) => importJsonlCommand(io, readConfig(to.settings), join(folder, 'users'), { keyFile }), '', true)
  const { report } = JSON.parse(imported.stdout.trim().split('\n').at(-1)!) as { report: ImportReport }
  t.match(report, {
    users: { leftOut: 0, owing: 1 },
    passwords: { leftOut: 0 },
    devices: { leftOut: 0 },
    passkeys: { leftOut: 0 },
    recoveryCodes: { leftBehind: 0 }
  })
  return exported.stderr
}

/** Everything that a user can learn, in an order that locks no account. */
async function answers ({ app, clock }: Fresh, { username, password, phones, passkeys, codes }: Known): Promise<unknown[]> {
  const found: unknown[] = []
  const note = (answer: Awaited<ReturnType<Person['login']>>, ...names: string[]) => {
    const body = answer.json<Record<string, unknown>>()
    found.push([answer.statusCode, body['code'], ...names.map((name) => body[name])])
    return answer.statusCode === 200
  }
  const session = mover(app, username, password)
  note(await mover(app, username, `${password}x`).login())
  if (!note(await session.login(), 'otpRequired', 'otpMethods')) return found
  note(await session.request('GET', '/totp/status'), 'isEnabled', 'recoveryCodesLeft', 'recoveryCodesWeak', 'weakDevices', 'methods')
  const enter = async () => {
    const another = mover(app, username, password)
    expect(200, await another.login())
    return another
  }
  for (const phone of phones) {
    note(await session.verify(shown(phone, at)))
    await clock.advance(120)
    note(await session.verify(shown(phone, await clock.now())))
  }
  for (const passkey of passkeys) note(await use(await enter(), passkey))
  const names = ['email', 'locale', 'phone', 'firstName', 'lastName', 'isOtpEnabled']
  note(await session.request('GET', '/account'), ...names)
  const devices = await session.request('GET', '/totp/devices')
  if (devices.statusCode === 200) {
    const list = devices.json<Array<Record<string, unknown>>>()
    // Of devices of one moment, either may be the first.
    found.push(list.map(({ kind, name, weak, confirmedAt, lastUsedAt }) =>
      JSON.stringify([kind, name, weak, confirmedAt, lastUsedAt === null])).sort())
  }
  note(await session.request('GET', '/admin/users'))
  for (const code of codes.slice(0, sized(1, 3))) note(await (await enter()).recover(code), 'recoveryCodesLeft')
  if (codes.length > 0) note(await (await enter()).recover(codes[0]))
  return found
}

t.test('every user gets the same answers everywhere', async (t) => {
  await own()
  await moved()
  const harden = createHardening(insideOf(app))
  await until('all codes to be hashed', async () => await asCleaner(insideOf(app).db, harden).catch(() => null) === false, 60_000)
  const behind = await move(first, second)
  const named = /^.+: (the references to accounts elsewhere|\d+ profiles of other services) stay behind: the format has none$/
  for (const line of behind.trim().split('\n')) t.match(line, named)
  t.equal(await move(second, third), '')
  for (const { clock } of [second, third]) await clock.freeze(at)
  for (const user of known) {
    const expected = await answers(first, user)
    for (const there of [second, third]) t.same(await answers(there, user), expected, user.username)
  }
})
