import { createCipheriv, createHash, pbkdf2Sync, randomBytes, scryptSync } from 'node:crypto'
import { hash as argon2 } from '@node-rs/argon2'
import { hash as bcrypt } from '@node-rs/bcrypt'
import t from 'tap'
import { asExported } from '../../../src/accounts/foreign-hashes.js'
import { freshApp } from '../../helpers/app.js'
import { importLines, mover, shown, type App2fa } from '../../helpers/moving.js'
import { need } from '../../helpers/need.js'
import { expect } from '../../helpers/person.js'

await need('postgres')

const { app, db, clock } = await freshApp(t, {}, { hasher: 'dear' })
await clock.freeze()

const PASSWORD = 'pässword of a ﬁsh'
const salt = randomBytes(16)
const plain = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
const key64 = (bytes: number, N: number, r: number, of: string | Buffer = salt, text = PASSWORD) =>
  scryptSync(text, of, bytes, { N, r, p: 1, maxmem: 2 ** 27 })

function firebase (): string {
  const [separator, signer] = [Buffer.from('Bw==', 'base64'), randomBytes(64)]
  const cipher = createCipheriv('aes-256-ctr', key64(32, 2 ** 14, 8, Buffer.concat([salt, separator])), Buffer.alloc(16))
  const encrypted = Buffer.concat([cipher.update(signer), cipher.final()])
  const [ss, sk, s, h] = [separator, signer, salt, encrypted].map((bytes) => bytes.toString('base64'))
  return `$fbscrypt$v=1,n=14,r=8,p=1,ss=${ss},sk=${sk}$${s}$${h}`
}

const hexSalt = salt.toString('hex')
const hashes: Record<string, string> = {
  argon2id: await argon2(PASSWORD, { memoryCost: 7168, timeCost: 5, parallelism: 1 }),
  bcrypt: await bcrypt(PASSWORD, 5),
  bcrypt2y: (await bcrypt(PASSWORD, 5)).replace('$2b$', '$2y$'),
  scrypt: `$scrypt$ln=14,r=8,p=1$${plain(salt)}$${plain(key64(32, 2 ** 14, 8))}`,
  pbkdf2sha256: `$pbkdf2-sha256$i=2000$${plain(salt)}$${plain(pbkdf2Sync(PASSWORD, salt, 2000, 32, 'sha256'))}`,
  pbkdf2sha512: `$pbkdf2-sha512$i=2000,l=64$${plain(salt)}$${plain(pbkdf2Sync(PASSWORD, salt, 2000, 64, 'sha512'))}`,
  django: `pbkdf2_sha256$2000$abc$${pbkdf2Sync(PASSWORD, 'abc', 2000, 32, 'sha256').toString('base64')}`,
  betterauth: `${hexSalt}:${key64(64, 16_384, 16, hexSalt, PASSWORD.normalize('NFKC')).toString('hex')}`,
  firebase: firebase()
}

t.test('P2 each form of a password hash logs in, and is argon2id of today afterwards', async (t) => {
  const { report, notes } = await importLines(app, Object.entries(hashes).map(([username, passwordHash]) => ({ username, passwordHash })))
  t.same(notes, [])
  t.match(report, { users: { brought: 9 }, passwords: { brought: 9 } })
  for (const username of Object.keys(hashes)) {
    t.equal((await mover(app, username, `${PASSWORD}x`).login()).statusCode, 401, `${username}: a wrong password`)
    expect(200, await mover(app, username, PASSWORD).login())
    const [row] = await db.query<{ hash: string }>('select password_hash as hash from account where username = $1', [username])
    t.match(row!.hash, /^(nfkc:)?\$argon2id\$v=19\$m=19456,/, username)
    expect(200, await mover(app, username, PASSWORD).login())
  }
})

t.test('a password of which bcrypt read a part does not become another one', async (t) => {
  const long = 'x'.repeat(72)
  await importLines(app, [{ username: 'long', passwordHash: await bcrypt(`${long}right end`, 5) }])
  for (const read of [`${long}some other end`, long]) expect(200, await mover(app, 'long', read).login())
  expect(200, await mover(app, 'long', `${long}right end`).login())
  t.equal((await mover(app, 'long', long.slice(1)).login()).statusCode, 401)
})

t.test('a password that better-auth reads in NFKC is accepted in each spelling, afterwards too, and after an export', async (t) => {
  const spellings = ['ﬁsh ＡＢＣ １２', 'fish ABC 12', 'fish ＡBC １2']
  const hash = `${hexSalt}:${key64(64, 16_384, 16, hexSalt, spellings[1]).toString('hex')}`
  await importLines(app, [{ username: 'spelt', passwordHash: hash }])
  const readHash = async (username: string) =>
    (await db.query<{ hash: string }>('select password_hash as hash from account where username = $1', [username]))[0]!.hash
  for (const text of [...spellings, ...spellings]) expect(200, await mover(app, 'spelt', text).login())
  const ours = await readHash('spelt')
  t.match(ours, /^nfkc:\$argon2id\$v=19\$m=19456,/)
  t.equal((await mover(app, 'spelt', 'fish abc 12').login()).statusCode, 401)
  await importLines(app, [{ username: 'exported', passwordHash: asExported(ours) }])
  for (const text of [...spellings, ...spellings]) expect(200, await mover(app, 'exported', text).login())
  t.match(await readHash('exported'), /^nfkc:\$argon2id\$/)
})

t.test('hashes of absurd cost, and what is none, stay behind and are named without a value', async (t) => {
  const absurd = [
    '$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA', hashes['bcrypt']!.replace('$05$', '$31$'),
    hashes['scrypt']!.replace('ln=14', 'ln=30'), hashes['scrypt']!.replace('r=8', 'r=4096'),
    hashes['pbkdf2sha256']!.replace('i=2000', 'i=999999999'), 'md5$a$b', 'secret in plain', '$argon2id$', '$fbscrypt$v=1$a$b'
  ]
  const { report, notes } = await importLines(app, absurd.map((passwordHash, i) => ({ username: `absurd${i}`, passwordHash })))
  t.match(report, { users: { brought: 9 }, passwords: { leftOut: 9 } })
  t.same(notes.map(({ kind, line }) => [kind, line]), absurd.map((_, i) => ['password', i + 1]))
  t.notMatch(JSON.stringify(notes), /secret in plain|c2Fs/)
  t.equal((await mover(app, 'absurd6', 'secret in plain').login()).statusCode, 401)
})

const key = Buffer.from('12345678901234567890')
const short = Buffer.from('1234567890')
const apps: Record<string, { totp: object, phone: App2fa }> = {
  base32: { totp: { secret: { base32: 'gezd gnbv gy3t qojq gezd gnbv gy3t qojq====' } }, phone: { key } },
  hex: { totp: { secret: { hex: key.toString('hex') } }, phone: { key } },
  text: { totp: { secret: { text: '12345678901234567890' } }, phone: { key } },
  otpauth: {
    totp: { secret: { otpauth: 'otpauth://totp/A:b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA256&digits=8&period=60' } },
    phone: { key, algorithm: 'sha256', digits: 8, period: 60 }
  },
  sha512: {
    totp: { secret: { hex: key.toString('hex') }, algorithm: 'SHA512', digits: 7, periodSeconds: 15 },
    phone: { key, algorithm: 'sha512', digits: 7, period: 15 }
  },
  short: { totp: { secret: { text: '1234567890' } }, phone: { key: short } },
  t0: { totp: { secret: { hex: key.toString('hex') }, t0Seconds: -30 }, phone: { key, t0: -30 } }
}

t.test('T2 T4 each device is verified by its own parameters; a code of before the import is used up', async (t) => {
  const records = Object.entries(apps).map(([username, { totp }]) => ({ username, passwordHash: hashes['bcrypt'], totp: [totp] }))
  const { report, notes } = await importLines(app, records)
  t.same(notes, [])
  t.match(report, { devices: { brought: 7, weak: 1 }, users: { owing: 0 } })
  const importedAt = await clock.now()
  const sessions = await Promise.all(Object.keys(apps).map(async (username) => {
    const session = mover(app, username, PASSWORD)
    t.equal(expect(200, await session.login()).json().otpRequired, true)
    return { session, phone: apps[username]!.phone }
  }))
  for (const { session, phone } of sessions) {
    for (const offset of [-1, 0, 1]) t.equal((await session.verify(shown(phone, importedAt, offset))).statusCode, 400, 'may be used there')
  }
  await clock.advance(61)
  for (const { session, phone } of sessions) {
    const later = mover(app, session.username, PASSWORD)
    expect(200, await later.login())
    const now = await clock.now()
    t.equal((await later.verify(shown(phone, now, 5))).statusCode, 400)
    const code = shown(phone, now, phone.period === 60 ? 1 : 0)
    t.equal((await later.verify(code)).statusCode, 200, session.username)
  }
  const [weak] = await db.query(`
    select detail from otp_event e join account a on a.id::text = e.user_id where username = 'short' and kind = 'otp_verified'`)
  t.same(weak, { detail: 'weak' })
})

t.test('lastStep is taken', async (t) => {
  const step = Math.floor((await clock.now()).getTime() / 30_000)
  await importLines(app, [{
    username: 'stepped', passwordHash: hashes['bcrypt'], totp: [{ secret: { hex: key.toString('hex') }, lastStep: step - 1 }]
  }])
  const session = mover(app, 'stepped', PASSWORD)
  expect(200, await session.login())
  t.equal((await session.verify(shown({ key }, await clock.now(), -1))).statusCode, 400)
  expect(200, await session.verify(shown({ key }, await clock.now())))
})

t.test('R6 a factor that cannot come is owed: the password alone opens nothing', async (t) => {
  const faults: Array<[string, object]> = [
    ['tiny', { secret: { text: '123456789' } }], ['base32', { secret: { base32: 'GEZDGNBVGY3TQOJ1' } }],
    ['odd', { secret: { hex: 'abc' } }],
    ['hotp', { secret: { otpauth: 'otpauth://hotp/A:b?secret=GEZDGNBVGY3TQOJQ&counter=0' } }],
    ['contradiction', { digits: 6, secret: { otpauth: 'otpauth://totp/A:b?secret=GEZDGNBVGY3TQOJQ&digits=8' } }]
  ]
  const { report, notes } = await importLines(app, [
    ...faults.map(([name, device]) => ({ username: `fault-${name}`, passwordHash: hashes['bcrypt'], totp: [device] })),
    { username: 'mail', passwordHash: hashes['bcrypt'], owesFactor: true },
    { username: 'pending', passwordHash: hashes['bcrypt'], totp: [{ secret: { hex: key.toString('hex') }, confirmedAt: null }] }
  ])
  t.match(report, { users: { brought: 7, owing: 6 }, devices: { brought: 0, leftOut: 5, pendingLeftBehind: 1 } })
  t.equal(notes.length, 11)
  t.notMatch(JSON.stringify(notes), /GEZD|123456789/)
  for (const name of [...faults.map(([name]) => `fault-${name}`), 'mail']) {
    t.equal((await mover(app, name, PASSWORD).login()).json().code, 'SETUP_CODE_REQUIRED', name)
  }
  const session = mover(app, 'pending', PASSWORD)
  t.equal(expect(200, await session.login()).json().otpRequired, false)
})

t.test('R2 recovery codes: as printed, or their SHA-512; each once', async (t) => {
  const keycloak = ['IL1UABCDEF12', 'ABCDEFGHIJKL']
  const strong = 'abcdefghijklmnopqrstuvwxyz0123'
  const { report, notes } = await importLines(app, [{
    username: 'codes',
    passwordHash: hashes['bcrypt'],
    totp: [{ secret: { hex: key.toString('hex') } }],
    recoveryCodes: [
      { code: 'aBcD-eFgH1' }, { code: strong }, { code: 'usedUsed12', usedAt: '2026-01-01T00:00:00Z' },
      ...keycloak.map((code) => ({ digest: createHash('sha512').update(code).digest('base64'), algorithm: 'sha512' }))
    ]
  }])
  t.same(notes, [])
  t.match(report.recoveryCodes, { brought: 4, weak: 3, leftBehind: 1 })
  const recover = async (code: string) => {
    const session = mover(app, 'codes', PASSWORD)
    expect(200, await session.login())
    return (await session.recover(code)).json()
  }
  for (const wrong of ['abcdefgh1', 'ABCD-EFGH1', 'usedUsed12', '1L1UABCDEF12', strong.toUpperCase()]) {
    t.equal((await recover(wrong)).code, 'RECOVERY_CODE_INVALID', wrong)
    await db.query('update otp_user set failures = 0, locked_until = null')
  }
  t.match(await recover(' aBcD eFgH-1'), { recoveryCodesLeft: 3 })
  t.equal((await recover('aBcDeFgH1')).code, 'RECOVERY_CODE_INVALID', 'once')
  t.match(await recover('abcdefghij klmnopqrst uvwxyz0123'), { recoveryCodesLeft: 2 })
  t.match(await recover('ABCD-EFGH-IJKL'), { recoveryCodesLeft: 1 }, 'in any order')
  t.match(await recover('IL1U-ABCD-EF12'), { recoveryCodesLeft: 0 })
})
