/** Realms in the form of Keycloak 26's export. */
import { createHash, pbkdf2Sync, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashRaw } from '@node-rs/argon2'
import t, { type Test } from 'tap'
import { openKeycloak } from '../../src/imports/keycloak/source.js'
import { usersOf } from '../../src/imports/keycloak/users.js'
import { freshApp } from '../helpers/app.js'
import { importInto } from '../helpers/imports.js'
import { mover, shown, type App2fa } from '../helpers/moving.js'
import { need } from '../helpers/need.js'
import { expect } from '../helpers/person.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

await need('postgres')

const PASSWORD = 'a password of the realm'
const salt = randomBytes(16)
const credential = (type: string, secret: object, facts: object) =>
  ({ type, createdDate: 1_767_225_600_000, secretData: JSON.stringify(secret), credentialData: JSON.stringify(facts) })
const pbkdf2 = credential('password', {
  value: pbkdf2Sync(PASSWORD, salt, 2100, 64, 'sha512').toString('base64'), salt: salt.toString('base64'), additionalParameters: {}
}, { hashIterations: 2100, algorithm: 'pbkdf2-sha512', additionalParameters: {} })
const argon2 = credential('password', {
  value: (await hashRaw(PASSWORD, { memoryCost: 7168, timeCost: 5, parallelism: 1, salt, outputLen: 32 })).toString('base64'),
  salt: salt.toString('base64'),
  additionalParameters: {}
}, {
  hashIterations: 5,
  algorithm: 'argon2',
  additionalParameters: { hashLength: ['32'], memory: ['7168'], type: ['id'], version: ['1.3'], parallelism: ['1'] }
})
const otp = (value: string, facts: object = {}) =>
  credential('otp', { value }, { subType: 'totp', digits: 6, counter: 0, period: 30, algorithm: 'HmacSHA1', ...facts })
const codes = ['IL1UABCDEF12', 'ABCDEFGHIJKL', '0O0O1I1L2Z2Z']
const recovery = credential('recovery-authn-codes', {
  codes: codes.map((code, i) => ({ number: i + 1, encodedHashedValue: createHash('sha512').update(code).digest('base64') }))
}, { hashIterations: 1, algorithm: 'RS512', totalCodes: 3, remainingCodes: 3 })

const text = 'twenty bytes of text'
const users = [
  { id: '1', username: 'none', enabled: true, credentials: [argon2] },
  {
    id: '2',
    username: 'text',
    enabled: true,
    email: 'text@example.org',
    emailVerified: true,
    attributes: { locale: ['de'] },
    credentials: [pbkdf2, otp(text), recovery]
  },
  {
    id: '3',
    username: 'base32',
    credentials: [
      pbkdf2, otp('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', { secretEncoding: 'BASE32', algorithm: 'HmacSHA256', digits: 8, period: 60 })
    ]
  },
  { id: '4', username: 'hotp', credentials: [pbkdf2, otp(text, { subType: 'hotp' })] },
  { id: '5', username: 'disabled', enabled: false, credentials: [pbkdf2] },
  { id: '6', username: 'service-account-x', serviceAccountClientId: 'x', enabled: true },
  { id: '7', username: 'webauthn', credentials: [pbkdf2, credential('webauthn', {}, { credentialId: 'AAAA', counter: 0 })] },
  { id: '8', username: 'quoted "users": [{', credentials: [] }
]
const realm = { realm: 'x', roles: { users: [{ username: 'never' }], realm: [{ name: 'users' }] }, users, clients: [{ users: [{}] }] }
const folder = await temporaryFolder(t)
await writeFile(join(folder, 'realm.json'), JSON.stringify(realm, null, 2))

const phones: Record<string, App2fa> = {
  text: { key: Buffer.from(text) }, base32: { key: Buffer.from('12345678901234567890'), algorithm: 'sha256', digits: 8, period: 60 }
}

async function tryPeople (t: Test, source: Awaited<ReturnType<typeof openKeycloak>>): Promise<void> {
  const { app, clock } = await freshApp(t)
  const { report, notes } = await importInto(app, source)
  t.match(report, {
    users: { found: 7, brought: 7, owing: 2 },
    passwords: { brought: 6, none: 1 },
    devices: { brought: 2, leftOut: 1 },
    passkeys: { leftOut: 1 },
    recoveryCodes: { brought: 3, weak: 3 }
  })
  t.equal(notes.length, 4)
  await clock.advance(150)
  const enter = async (name: string) => {
    const session = mover(app, name, PASSWORD)
    return { session, answer: await session.login() }
  }
  t.equal(expect(200, (await enter('none')).answer).json().otpRequired, false)
  for (const [name, phone] of Object.entries(phones)) {
    const { session, answer } = await enter(name)
    t.equal(expect(200, answer).json().otpRequired, true, name)
    expect(200, await session.verify(shown(phone, await clock.now())))
  }
  for (const name of ['hotp', 'webauthn']) t.equal((await enter(name)).answer.json().code, 'SETUP_CODE_REQUIRED', name)
  t.equal((await enter('disabled')).answer.statusCode, 401)
  t.equal((await (await enter('text')).session.recover('1L1UABCDEF12')).json().code, 'RECOVERY_CODE_INVALID', 'I and 1 are two symbols')
  for (const [i, code] of codes.toReversed().entries()) {
    t.match((await (await enter('text')).session.recover(code)).json(), { recoveryCodesLeft: 2 - i })
    t.equal((await (await enter('text')).session.recover(code)).json().code, 'RECOVERY_CODE_INVALID', 'each once')
  }
}

t.test('one file', async (t) => { await tryPeople(t, await openKeycloak({ file: join(folder, 'realm.json') })) })

t.test('the directory form', async (t) => {
  const dir = join(folder, 'dir')
  await mkdir(dir)
  await writeFile(join(dir, 'x-realm.json'), JSON.stringify({ realm: 'x' }))
  await writeFile(join(dir, 'x-users-1.json'), JSON.stringify({ realm: 'x', users: users.slice(4) }))
  await writeFile(join(dir, 'x-users-0.json'), JSON.stringify({ realm: 'x', users: users.slice(0, 4) }))
  await tryPeople(t, await openKeycloak({ dir }))
})

t.test('the list of users is found whatever the chunks are', async (t) => {
  const bytes = Buffer.from(JSON.stringify(realm, null, 1))
  for (const size of [1, 7, 64, bytes.length]) {
    const found: unknown[] = []
    async function * chunks () { for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size) }
    for await (const { bytes } of usersOf(chunks())) found.push(JSON.parse(bytes!.toString()))
    t.same(found, users, `${size} bytes`)
  }
})

t.test('an export that was cut is an error, wherever the cut is; a second run brings the rest', async (t) => {
  const { app, db } = await freshApp(t)
  const text = JSON.stringify(realm)
  const file = join(folder, 'cut.json')
  const cuts = [
    text.indexOf('"users":[{"id"') + 9, text.indexOf('"id":"3"'), text.indexOf('},{"id":"4"') + 1, text.indexOf('"clients"') + 3,
    text.length - 1
  ]
  for (const at of cuts) {
    await writeFile(file, text.slice(0, at))
    await t.rejects(importInto(app, await openKeycloak({ file })), { name: 'SourceError' }, `${at} of ${text.length} bytes`)
  }
  await writeFile(file, `${text}\n`)
  t.match((await importInto(app, await openKeycloak({ file }))).report.users, { found: 7, leftOut: 0 })
  t.equal((await db.query('select 1 from account')).length, 7)
})

t.test('large users do not make a large page', async (t) => {
  const file = join(folder, 'large.json')
  const attributes = { picture: ['x'.repeat(500_000)] }
  await writeFile(file, JSON.stringify({ users: Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, username: `u${i}`, attributes })) }))
  const sizes: number[] = []
  for await (const { entries } of (await openKeycloak({ file })).pages(null)) sizes.push(entries.length)
  t.equal(sizes.reduce((sum, size) => sum + size), 20)
  t.ok(Math.max(...sizes) <= 9, String(sizes))
})

t.test('no users, and no file', async (t) => {
  await writeFile(join(folder, 'empty.json'), '{"realm":"x"}')
  const { app } = await freshApp(t)
  await t.rejects(importInto(app, await openKeycloak({ file: join(folder, 'empty.json') })), { name: 'SourceError' })
  await t.rejects(openKeycloak({ file: join(folder, 'none.json') }), { name: 'SourceError' })
  await t.rejects(openKeycloak({ dir: join(folder, 'nothing') }), { name: 'SourceError' })
})
