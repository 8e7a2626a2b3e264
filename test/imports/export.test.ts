import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { hash as bcrypt } from '@node-rs/bcrypt'
import t from 'tap'
import { exportJsonlCommand } from '../../src/commands/export.js'
import { importJsonlCommand } from '../../src/commands/import/jsonl.js'
import { readConfig } from '../../src/config/config.js'
import { freshApp } from '../helpers/app.js'
import { worked } from '../helpers/command.js'
import { importLines, mover, shown } from '../helpers/moving.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

await need('postgres')

const { app, db, settings, clock } = await freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
const other = await freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
const folder = await temporaryFolder(t)
const keyFile = join(folder, 'key')
await writeFile(keyFile, randomBytes(32).toString('base64url'), { mode: 0o600 })
const sealedFile = join(folder, 'users.sealed')
const exporting = (options: object) => worked((io) => exportJsonlCommand(io, readConfig(settings), options))
const importing = (file: string, options: object = { keyFile }) =>
  worked((io) => importJsonlCommand(io, readConfig(other.settings), file, options), '', true)

const PASSWORD = 'a password of the old system'
const key = Buffer.from('12345678901234567890')
const own = await (await signUp(app, 'own')).enrol()
const plain = await signUp(app, 'plain')
await importLines(app, [
  {
    username: 'moved',
    email: 'moved@example.org',
    emailVerified: true,
    locale: 'de',
    profile: { firstName: 'M', lastName: 'V', phone: '+1' },
    passwordHash: await bcrypt(PASSWORD, 5),
    totp: [{
      secret: { hex: key.toString('hex') },
      otherSecret: { text: 'another reading' },
      algorithm: 'SHA256',
      digits: 8,
      lastStep: 0,
      name: 'old phone'
    }],
    recoveryCodes: [{ code: 'weak1-code1' }, { code: 'abcdefghijklmnopqrstuvwxyz0123' }]
  },
  { username: 'owing', passwordHash: await bcrypt(PASSWORD, 5), owesFactor: true },
  { username: 'gone', passwordHash: await bcrypt(PASSWORD, 5), isActive: false }
])

t.test('secrets leave sealed alone, with a reason, under a key file that is the operator\'s own', async (t) => {
  for (const options of [
    { withSecrets: true }, { withSecrets: true, reason: 'x' }, { withSecrets: true, keyFile }, { keyFile }
  ]) await t.rejects(exporting(options), { name: 'MisuseError' }, JSON.stringify(options))
  const open = join(folder, 'open')
  await writeFile(open, await readFile(keyFile))
  await chmod(open, 0o644)
  const short = join(folder, 'short')
  await writeFile(short, 'AAAA', { mode: 0o600 })
  for (const file of [open, short, join(folder, 'none')]) {
    await t.rejects(exporting({ withSecrets: true, keyFile: file, reason: 'x' }), { name: 'CommandError' })
  }
})

t.test('without secrets it is the data of a user, with no secret in it', async (t) => {
  const { code, stdout } = await exporting({ user: 'MOVED' })
  t.equal(code, 0)
  const record = JSON.parse(stdout)
  t.match(record, {
    username: 'moved',
    email: 'moved@example.org',
    emailVerified: true,
    locale: 'de',
    profile: { firstName: 'M', lastName: 'V', phone: '+1' },
    totp: [{ name: 'old phone', algorithm: 'SHA256', digits: 8 }],
    recoveryCodes: []
  })
  t.notMatch(stdout, /secret|passwordHash|digest|"key"/)
  t.match(await db.query("select detail from otp_event where kind = 'exported'"), [{ detail: 'by the operator' }])
})

t.test('an export under other keys gives every user the same answers', async (t) => {
  const { code, stdout, stderr } = await exporting({ withSecrets: true, keyFile, reason: 'the move' })
  t.same({ code, stderr }, { code: 0, stderr: '' })
  t.equal((await db.query("select 1 from otp_event where kind = 'exported' and detail = 'the move'")).length, 5)
  for (const secret of [key.toString('hex'), '$2b$', 'argon2', 'username']) t.notOk(stdout.includes(secret))
  await writeFile(sealedFile, stdout)

  const lines = stdout.trimEnd().split('\n')
  const without = (...indexes: number[]) => lines.filter((_, i) => !indexes.includes(i)).join('\n')
  const swapped = [lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n')
  const changed = stdout.replace(lines[2]!, `${lines[2]![0] === 'A' ? 'B' : 'A'}${lines[2]!.slice(1)}`)
  for (const bad of [
    without(lines.length - 1), without(2), without(lines.length - 1, 2), swapped, changed, `${stdout}${lines[1]}\n`, stdout.slice(0, -40)
  ]) {
    const file = join(folder, 'bad')
    await writeFile(file, bad)
    await t.rejects(importing(file), { name: 'SourceError' })
  }
  const otherKey = join(folder, 'other-key')
  await writeFile(otherKey, randomBytes(32).toString('base64url'), { mode: 0o600 })
  await t.rejects(importing(sealedFile, { keyFile: otherKey }), { name: 'SourceError' })
  await t.rejects(importing(sealedFile, {}), { name: 'SourceError' })
  t.same(await other.db.query('select count(*)::int as n from account'), [{ n: 0 }], 'of a file that is cut or changed nothing comes')

  const imported = await importing(sealedFile)
  t.equal(imported.code, 3, 'the one who owes is named')
  const { report } = JSON.parse(imported.stdout.trim().split('\n').at(-1)!)
  t.match(report, { users: { found: 5, brought: 5, owing: 1 }, devices: { brought: 2 }, recoveryCodes: { brought: 7, weak: 1 } })
})

t.test('passwords, codes of apps, recovery codes and states work there', async (t) => {
  await clock.advance(0)
  const there = other.app
  expect(200, await mover(there, 'plain', plain.password).login())
  t.equal((await mover(there, 'gone', PASSWORD).login()).statusCode, 401)
  t.equal((await mover(there, 'owing', PASSWORD).login()).json().code, 'SETUP_CODE_REQUIRED')

  const enter = async (username: string, password: string) => {
    const session = mover(there, username, password)
    expect(200, await session.login())
    return session
  }
  for (const [i, code] of own.recoveryCodes.entries()) {
    t.match((await (await enter('own', own.password)).recover(code)).json(), { recoveryCodesLeft: 4 - i })
    t.equal((await (await enter('own', own.password)).recover(code)).json().code, 'RECOVERY_CODE_INVALID', 'once')
  }
  const moved = await enter('moved', PASSWORD)
  expect(200, await moved.verify(shown({ key, algorithm: 'sha256', digits: 8 }, await other.clock.now())))
  t.match((await (await enter('moved', PASSWORD)).recover('WEAK1CODE1')).json(), { code: 'RECOVERY_CODE_INVALID' })
  t.match((await (await enter('moved', PASSWORD)).recover('weak1 code1')).json(), { recoveryCodesLeft: 1 })
  t.match((await (await enter('moved', PASSWORD)).recover('abcdefghijklmnopqrstuvwxyz0123')).json(), { recoveryCodesLeft: 0 })
  t.same((await importing(sealedFile)).code, 0, 'a second run changes and names nothing')
})
