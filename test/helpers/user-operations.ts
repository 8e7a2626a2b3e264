import { randomUUID } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import type { SoftPasskey } from '../../src/testing/soft-passkey.js'
import type { Fresh } from './app.js'
import type { Query } from './clock.js'
import { addPasskey, answer, challenge, confirm, creation, newPasskey } from './passkeys.js'
import { expect, Person, signUp } from './person.js'
import { idOf, staffAt } from './staff.js'

/** A user with an app, a passkey, recovery codes, a pending app and outstanding challenges, in a verified and an unverified session. */
export interface Owner {
  id: string
  /** Verified. */
  session: Person
  /** The same session; its phone shows the codes of the pending app. */
  pending: Person
  unverified: Person
  passkey: SoftPasskey
  /** Id of another verified session, which has a set-up and challenges of its own. */
  otherId: string
  /** Id of an app that the session has given no code of. */
  spareId: string
}

type Send = () => Promise<LightMyRequestResponse>

/** Operation about one user that changes rows. */
export interface UserOperation {
  /** Session that must live for it; absent where none must. */
  of?: 'session' | 'unverified'
  /** True if it is refused, and changes counts. @default false */
  isRefused?: boolean
  /** Prepares the request. */
  prepare (ada: Owner): Promise<Send>
}

const sid = (person: Person): string => String(person.claims()['sid'])

/** Sends a request without preparation. */
const just = (send: (ada: Owner) => Promise<LightMyRequestResponse>) => async (ada: Owner): Promise<Send> => async () => await send(ada)

/** Operations with a code, a recovery code or a passkey, and the set-up of devices. */
function factorOperations ({ db: { query } }: Pick<Fresh, 'db'>): Record<string, UserOperation> {
  return {
    'a code': {
      of: 'unverified',
      async prepare ({ unverified }) { const code = await unverified.nextCode(); return () => unverified.verify(code) }
    },
    'a code of a verified session': {
      of: 'session',
      async prepare ({ session }) { const code = await session.nextCode(); return () => session.verify(code) }
    },
    'a wrong code': {
      of: 'unverified',
      isRefused: true,
      async prepare ({ unverified }) { const code = await unverified.wrongCode(7); return () => unverified.verify(code) }
    },
    'the last wrong code of a session and of a pending app': {
      of: 'session',
      isRefused: true,
      async prepare ({ id, session }) {
        await query('update otp_session set failures = 4 where user_id = $1 and id = $2', [id, sid(session)])
        await query('update otp_device set failures = 9 where user_id = $1 and session_id = $2', [id, sid(session)])
        const code = await session.wrongCode(7)
        return () => session.verify(code)
      }
    },
    'a recovery code': { of: 'unverified', prepare: just(({ unverified, session }) => unverified.recover(session.recoveryCodes[0])) },
    'a wrong recovery code': {
      of: 'unverified', isRefused: true, prepare: just(({ unverified }) => unverified.recover('AAAA-BBBB-CCCC-DDDD-EEEE-FFFF'))
    },
    'a challenge': { of: 'session', prepare: just(({ session }) => session.request('POST', '/totp/passkeys/challenge')) },
    'an answer of a passkey': {
      of: 'unverified',
      async prepare ({ unverified, passkey }) {
        const response = passkey.authenticate(await challenge(unverified))
        return () => answer(unverified, response)
      }
    },
    'an answer of a passkey in a verified session': {
      of: 'session',
      async prepare ({ session, passkey }) {
        const response = passkey.authenticate(await challenge(session))
        return () => answer(session, response)
      }
    },
    'a wrong answer of a passkey': {
      of: 'unverified',
      isRefused: true,
      async prepare ({ unverified, passkey }) {
        const response = passkey.authenticate(await challenge(unverified), { challenge: 'AAAA' })
        return () => answer(unverified, response)
      }
    },
    'the set-up of an app': { of: 'session', prepare: just(({ session }) => session.request('POST', '/totp/create', { name: 'Third' })) },
    'the set-up of a passkey': { of: 'session', prepare: just(({ session }) => session.request('POST', '/totp/passkeys/create', {})) },
    'the end of a set-up': { prepare: just(({ session }) => session.request('DELETE', '/totp/rollback')) },
    'a confirmed app': {
      of: 'session',
      async prepare ({ pending }) { const code = await pending.nextCode(); return () => pending.confirm(code) }
    },
    'a confirmed passkey': {
      of: 'session',
      async prepare ({ session }) {
        const response = newPasskey().register((await creation(session)).options)
        return () => confirm(session, response)
      }
    },
    'new recovery codes': { of: 'session', prepare: just(({ session }) => session.request('POST', '/totp/recovery_code/create')) },
    'another name of a device': {
      of: 'session', prepare: just(({ session }) => session.request('PATCH', `/totp/devices/${session.deviceId}`, { name: 'Another' }))
    },
    'a removed device': { of: 'session', prepare: just(({ session }) => session.request('DELETE', `/totp/devices/${session.deviceId}`)) },
    'the removal of the device of its session': {
      of: 'session', prepare: just(({ session }) => session.request('DELETE', `/totp/devices/${session.claims()['otp_device_id']}`))
    },
    'no second factor any more': { of: 'session', prepare: just(({ session }) => session.request('DELETE', '/totp/delete')) }
  }
}

const sessionOperations: Record<string, UserOperation> = {
  'a refresh': { of: 'unverified', prepare: just(({ unverified }) => unverified.refreshTokens()) },
  'a refresh token whose child was used': {
    of: 'unverified',
    isRefused: true,
    async prepare ({ unverified }) {
      const oldest = unverified.refresh
      for (let i = 0; i < 2; i++) expect(200, await unverified.refreshTokens())
      return () => unverified.refreshTokens(oldest)
    }
  },
  'a log-out': { prepare: just(({ session }) => session.request('POST', '/token/revoke')) },
  'the end of another session': {
    of: 'session', prepare: just(({ session, unverified }) => session.request('DELETE', `/account/sessions/${sid(unverified)}`))
  },
  'the end of all other sessions': { of: 'session', prepare: just(({ session }) => session.request('DELETE', '/account/sessions')) },
  'a log-in': { prepare: just(({ session }) => session.elsewhere().login()) },
  'a log-in with a wrong password': { isRefused: true, prepare: just(({ session }) => session.elsewhere().login('not the password')) }
}

const accountOperations: Record<string, UserOperation> = {
  'another password': {
    of: 'session',
    prepare: just(({ session }) => session.request('POST', '/account/password', { current: session.password, next: 'a stapler, a horse' }))
  },
  'another phone number': { of: 'session', prepare: just(({ session }) => session.request('PATCH', '/account', { phone: '+1 555 0100' })) },
  'another address': { of: 'session', prepare: just(({ session }) => session.request('PATCH', '/account', { email: 'new@example.org' })) },
  'a mail that verifies the address': { of: 'session', prepare: just(({ session }) => session.request('POST', '/account/email/verify')) },
  'no account any more': { of: 'session', prepare: just(({ session }) => session.request('DELETE', '/account')) }
}

function staffOperations ({ db: { query } }: Pick<Fresh, 'db'>, grace: Person): Record<string, UserOperation> {
  const by = (method: 'POST' | 'PATCH' | 'DELETE', path: (ada: Owner) => string, body?: object): UserOperation['prepare'] =>
    just(async (ada) => await grace.request(method, `/admin/users/${ada.id}${path(ada)}`, body))
  /** @param changes SQL of the row of `account` */
  const after = (changes: string, path: string): UserOperation['prepare'] => async (ada) => {
    await query(`update account set ${changes} where id::text = $1`, [ada.id])
    return async () => await grace.request('POST', `/admin/users/${ada.id}${path}`, reason)
  }
  const reason = { reason: 'a test' }
  return {
    'a reset by staff': { prepare: by('POST', () => '/reset-otp', reason) },
    'an unlock by staff': { prepare: by('POST', () => '/unlock') },
    'other references by staff': { prepare: by('PATCH', () => '', { powerAccountId: 7, powerContactId: 8 }) },
    'a promotion by staff': { prepare: by('POST', () => '/promote', reason) },
    'a demotion by staff': { prepare: after('is_staff = true', '/demote') },
    'a reactivation by staff': { prepare: after('is_active = false', '/reactivate') },
    'mails again by staff': { prepare: after('email_stopped_at = now(), password_links_stopped_at = now()', '/resume-mail') },
    'a deactivation by staff': { prepare: by('POST', () => '/deactivate', reason) },
    'the end of a session by staff': { prepare: by('DELETE', ({ unverified }) => `/sessions/${sid(unverified)}`) },
    'the end of all sessions by staff': { prepare: by('DELETE', () => '/sessions') }
  }
}

/**
 * Makes another verified session that has used up its wrong codes, with copies of the set-up and of the challenges. The user gets a copy
 * of each device too, a used recovery code, and codes of the pending app.
 */
async function copySession (query: Query, session: Person): Promise<Pick<Owner, 'otherId' | 'spareId'>> {
  const [otherId, spareId] = [randomUUID(), randomUUID()]
  const copy = (table: string, changes: string, where: string, id = otherId) => query(`insert into ${table}
    select (jsonb_populate_record(null::${table}, to_jsonb(r) || jsonb_build_object(${changes}))).* from ${table} r
    where r.user_id = $1 and $2::text <> '' and $3::text <> '' and ${where}`, [idOf(session), sid(session), id])
  const pending = '(select id from otp_device d where d.user_id = $1 and d.session_id = $2 and d.confirmed_at is null)'
  await copy('otp_session', "'id', $3::text, 'failures', 5", 'r.id = $2')
  await copy('otp_challenge', "'purpose', 'register'", 'r.session_id = $2')
  await copy('otp_challenge', "'session_id', $3::text", 'r.session_id = $2')
  await copy('otp_recovery_code', `'digest', 'own' || r.digest, 'pending_device_id', ${pending}`, 'r.pending_device_id is null')
  await copy('otp_recovery_code', "'digest', r.digest || $3::text, 'pending_device_id', $3::text", 'r.pending_device_id is null')
  await copy('otp_recovery_code', "'digest', 'used' || $3::text, 'used_at', now()", 'r.pending_device_id is null limit 1')
  await copy('otp_device', "'id', $3::text, 'session_id', $3::text, 'failures', 10", `r.id = ${pending}`)
  await copy('otp_totp', "'device_id', $3::text", `r.device_id = ${pending}`)
  const credential = ", 'credential_id', r.credential_id || '\\x02'::bytea"
  const copies = [[spareId, 'totp', 'otp_totp', ", 'last_step', -1"], [randomUUID(), 'passkey', 'otp_passkey', credential]] as const
  for (const [id, kind, table, more] of copies) {
    const original = `(select id from otp_device d
      where d.user_id = $1 and d.kind = '${kind}' and d.confirmed_at is not null and d.id <> $3::uuid)`
    await copy('otp_device', "'id', $3::text", `r.id = ${original}`, id)
    await copy(table, `'device_id', $3::text${more}`, `r.device_id = ${original}`, id)
  }
  return { otherId, spareId }
}

/** Operations that may change the user's other verified session, or its set-up too. */
const touching: Readonly<Record<string, 'session' | 'set-up'>> = {
  'a confirmed app': 'set-up',
  'a confirmed passkey': 'set-up',
  'new recovery codes': 'session',
  'a removed device': 'session',
  'the removal of the device of its session': 'session',
  'no second factor any more': 'set-up',
  'the end of all other sessions': 'session',
  'another password': 'session',
  'another address': 'session',
  'no account any more': 'set-up',
  'a reset by staff': 'set-up',
  'a deactivation by staff': 'session',
  'the end of all sessions by staff': 'session'
}

/** Operations about one user, and a function that makes one. */
export async function userOperations (fresh: Pick<Fresh, 'app' | 'db'>) {
  const { app, db: { query } } = fresh
  let users = 0
  // Marks of others, and of the time before, are no reason to refuse.
  await query("insert into otp_revocation (user_id, ended_before) values ('another', now() + interval '1 day')")

  async function owner (): Promise<Owner> {
    const session = await signUp(app, `user${users++}`)
    await session.enrol()
    await query("insert into otp_revocation (user_id, ended_before) values ($1, now() - interval '1 hour')", [idOf(session)])
    const passkey = await addPasskey(session)
    const unverified = session.elsewhere()
    expect(200, await unverified.login())
    for (const code of await session.wrongCodes(2)) expect(400, await unverified.verify(code))
    for (const person of [session, unverified]) await challenge(person)
    const pending = new Person({ app, username: session.username, password: session.password, phone: { lastStep: 0 } })
    Object.assign(pending, { access: session.access, refresh: session.refresh })
    expect(201, await pending.create({ name: 'Second' }))
    expect(200, await session.elsewhere().login())
    return { id: idOf(session), session, pending, unverified, passkey, ...await copySession(query, session) }
  }

  const operations: Record<string, UserOperation> = {
    ...factorOperations(fresh), ...sessionOperations, ...accountOperations, ...staffOperations(fresh, await staffAt(fresh))
  }
  const named = Object.entries(operations).map(([name, operation]) => ({ name, touches: touching[name] ?? null, ...operation }))
  return { owner, operations: named }
}

/** Id of the session that must live for an operation. */
export const sessionOf = (ada: Owner, { of }: Pick<UserOperation, 'of'>): string => sid(ada[of ?? 'session'])
