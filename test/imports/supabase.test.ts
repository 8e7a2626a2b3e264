/** Rows in the documented form of Supabase's auth schema. */
import { createCipheriv, hkdfSync, randomBytes, randomUUID } from 'node:crypto'
import { hash as argon2 } from '@node-rs/argon2'
import { hash as bcrypt } from '@node-rs/bcrypt'
import t from 'tap'
import { openSupabase, parseKeys } from '../../src/imports/supabase/source.js'
import { freshApp } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { importInto } from '../helpers/imports.js'
import { mover, shown } from '../helpers/moving.js'
import { need } from '../helpers/need.js'
import { expect } from '../helpers/person.js'

await need('postgres')

const PASSWORD = 'a password of the project'
const BASE32 = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const key = Buffer.from('12345678901234567890')
const ring = randomBytes(32)

function encrypted (id: string): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(hkdfSync('sha256', ring, '', id, 32)), nonce)
  const data = Buffer.concat([cipher.update(BASE32), cipher.final(), cipher.getAuthTag()])
  return JSON.stringify({ key_id: 'k1', alg: 'aes-gcm-hkdf', data: data.toString('base64'), nonce: nonce.toString('base64') })
}

const source = await freshDatabase(t)
await source.query(`
  create schema auth;
  create table auth.users (id uuid primary key, email varchar, phone text, encrypted_password varchar, email_confirmed_at timestamptz,
    created_at timestamptz default now(), updated_at timestamptz default now(), last_sign_in_at timestamptz, banned_until timestamptz,
    deleted_at timestamptz, is_anonymous boolean default false, raw_user_meta_data jsonb);
  create table auth.mfa_factors (id uuid primary key, user_id uuid, friendly_name text, factor_type text, status text, secret text,
    created_at timestamptz default now(), updated_at timestamptz default now(), phone text)`)
const hash = await bcrypt(PASSWORD, 5)

interface Factor { type?: string, status?: string, secret?: (id: string) => string }
async function add (name: string, more: Record<string, unknown> = {}, factors: Factor[] = []): Promise<void> {
  const id = randomUUID()
  const row = { id, email: `${name}@example.org`, encrypted_password: hash, email_confirmed_at: '2026-01-01T00:00:00Z', ...more }
  const names = Object.keys(row)
  const places = names.map((_, i) => `$${i + 1}`).join(', ')
  await source.query(`insert into auth.users (${names.join(', ')}) values (${places})`, Object.values(row))
  for (const { type = 'totp', status = 'verified', secret = () => BASE32 } of factors) {
    const factor = randomUUID()
    await source.query(`
      insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, secret) values ($1, $2, $3, $4, $5, $6)`,
    [factor, id, 'my phone', type, status, secret(factor)])
  }
}
await add('none')
await add('argon', { encrypted_password: await argon2(PASSWORD, { memoryCost: 8192, timeCost: 2 }) })
await add('plain', {}, [{}])
await add('encrypted', {}, [{ secret: encrypted }])
await add('pending', {}, [{ status: 'unverified' }])
await add('telephone', {}, [{ type: 'phone' }])
await add('banned', { banned_until: '2999-01-01T00:00:00Z' })
await add('released', { banned_until: '2020-01-01T00:00:00Z' })
await add('deleted', { deleted_at: '2020-01-01T00:00:00Z' })
await add('anonymous', { email: null, encrypted_password: '', is_anonymous: true })
await add('byphone', { email: null, phone: '4740000000' })

const { app, clock } = await freshApp(t)
const open = async (text: string | null = `k1:${ring.toString('base64url')}`) => await openSupabase(source.url, async () => '', {
  keys: text === null ? new Map() : parseKeys(text)!, now: await clock.now()
})

t.test('who could log in there logs in here, with password and code', async (t) => {
  const { report, notes } = await importInto(app, await open())
  t.match(report, { users: { found: 9, brought: 9, owing: 1 }, devices: { brought: 2, pendingLeftBehind: 1, leftOut: 1 } })
  t.match(notes.map(({ kind, username }) => [kind, username]), [['device', 'telephone@example.org'], ['user', 'telephone@example.org']])
  await clock.advance(90)
  const enter = async (name: string) => {
    const session = mover(app, name, PASSWORD)
    return { session, answer: await session.login() }
  }
  for (const name of ['none@example.org', 'argon@example.org', 'pending@example.org', 'released@example.org', '+4740000000']) {
    t.equal(expect(200, (await enter(name)).answer).json().otpRequired, false, name)
  }
  for (const name of ['plain@example.org', 'encrypted@example.org']) {
    const { session, answer } = await enter(name)
    t.equal(expect(200, answer).json().otpRequired, true)
    expect(200, await session.verify(shown({ key }, await clock.now())))
  }
  t.equal((await enter('telephone@example.org')).answer.json().code, 'SETUP_CODE_REQUIRED')
  for (const name of ['banned@example.org', 'deleted@example.org', 'anonymous@example.org']) {
    t.equal((await enter(name)).answer.statusCode, 401, name)
  }
  t.match(await importInto(app, await open()), { notes: [], report: { users: { brought: 0, alreadyHere: 9 } } })
})

t.test('R6 without its key an encrypted secret is owed', async (t) => {
  const { app } = await freshApp(t)
  const { report } = await importInto(app, await open(null))
  t.match(report, { users: { owing: 2 }, devices: { brought: 1, leftOut: 2 } })
  t.equal((await mover(app, 'encrypted@example.org', PASSWORD).login()).json().code, 'SETUP_CODE_REQUIRED')
})
