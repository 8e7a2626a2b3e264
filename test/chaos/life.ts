import { secretOf } from '../helpers/authenticator.js'
import type { Answer, Client } from './client.js'
import { createPasskeyLife } from './passkey-life.js'
import { hasCode, nextCode } from './people.js'
import type { Told } from './told.js'

interface Pair { access: string, refresh: string }
interface Phone { secret: Buffer, lastStep: number }
interface Living { username: string, password: string, phone: Phone, codes: string[] }

export interface LifeOptions {
  client: Client
  told: Told[]
  wrong: string[]
  staff: { access: string }
}

const PASSWORD = 'a password for bad days'
const NEW_PASSWORD = 'a password for the days after'

/**
 * Runs one user's life: signs up, sets up a device, verifies, adds a passkey and uses it, recovers, refreshes, logs out; and at the end
 * disables the second factor, has it reset, adds and removes a device, changes the password or deletes the account. Sends each code, and
 * each answer of a passkey, to two replicas at once. After no answer, or a 503, tries again at another replica, like a client.
 */
export function createLife ({ client, told, wrong, staff }: LifeOptions) {
  const { ask, must } = client
  const passkeys = createPasskeyLife(client, wrong)
  const ends = [disable, manageDevices, haveReset, disable, deleteAccount, changePassword]

  return async function live (username: string, n: number): Promise<void> {
    await must([201, 409], 'POST', '/users', { body: { username, email: `${username}@example.org`, password: PASSWORD } })
    told.push({ kind: 'signed up', username })
    const person: Living = { username, password: PASSWORD, phone: { secret: Buffer.alloc(0), lastStep: 0 }, codes: [] }
    let pair = await enrol(person, n % 4 === 0)
    const [sibling, other] = [await logIn(person), await logIn(person)]
    await revoke(other)
    pair = await refresh(pair)
    const verified = await prove(person, sibling)
    if (verified !== null) await revoke(pair)
    if (verified !== null && n % 2 === 0) await withPasskey(person, verified)
    const recovered = await recover(person, await logIn(person))
    if (recovered !== null) await ends[n % ends.length]!(person, recovered)
  }

  /**
   * Repeats until a device is confirmed. If the answer was lost, the status shows the result; the commit can also come late,
   * and end the session.
   */
  async function enrol (person: Living, takesBack: boolean): Promise<Pair> {
    for (;;) {
      const session = await logIn(person)
      const { access } = session
      const status = await must([200, 401], 'GET', '/totp/status', { access })
      if (status.body['isOtpEnabled'] === true) return session
      if (takesBack) {
        await must([201, 401, 403], 'POST', '/totp/create', { access })
        await must([200, 400, 401, 409], 'DELETE', '/totp/rollback', { access })
      }
      const pair = await setUp(person, session)
      if (pair !== null) return pair
    }
  }

  async function setUp (person: Living, session: Pair): Promise<Pair | null> {
    const { status, body } = await must([201, 401, 403], 'POST', '/totp/create', { access: session.access })
    if (status !== 201) return null
    Object.assign(person, { phone: { secret: secretOf(String(body['otpUrl'])), lastStep: 0 }, codes: body['recoveryCodes'] })
    return await prove(person, session)
  }

  /** Sends one code to two replicas at once. One of them accepts it, or none if a fault occurred. Then sends the code once more. */
  async function prove (person: Living, session: Pair, phone = person.phone): Promise<Pair | null> {
    if (!hasCode(phone)) return null
    const accepted = await give(person, session, '/totp/login', nextCode(phone), 'OTP_INVALID')
    if (accepted !== null) told.push({ kind: 'accepted', username: person.username, step: phone.lastStep })
    return accepted
  }

  async function recover (person: Living, session: Pair): Promise<Pair | null> {
    const accepted = await give(person, session, '/totp/recovery_code/login', person.codes.pop()!, 'RECOVERY_CODE_INVALID')
    if (accepted !== null) told.push({ kind: 'recovered', username: person.username })
    return accepted
  }

  /** Adds a passkey to the device, and verifies another session by it. */
  async function withPasskey (person: Living, { access }: Pair): Promise<void> {
    const { username } = person
    const later = async () => (await logIn(person)).access
    const accept = ({ body }: Answer) => {
      started(body)
      told.push({ kind: 'passkey accepted', username })
    }
    const passkey = await passkeys.add({ access, later, accept })
    if (passkey !== null) await passkeys.use(passkey, { access: await later(), later, accept })
  }

  async function give (person: Living, session: Pair, path: string, token: string, refusal: string): Promise<Pair | null> {
    const giveIn = async ({ access }: Pair) => await ask('POST', path, { access, body: { token } })
    const answers = await Promise.all([giveIn(session), giveIn(session)])
    const accepted = answers.filter(({ status }) => status === 200)
    for (const { status, body } of answers) {
      if (![200, 0, 503].includes(status) && ![refusal, 'SESSION_ENDED', 'OTP_LOCKED'].includes(String(body['code']))) {
        wrong.push(`${path}: ${status} ${String(body['code'])}`)
      }
    }
    if (accepted.length > 1) wrong.push(`one code was accepted ${accepted.length} times`)
    if (accepted[0] === undefined) return null
    const pair = started(accepted[0].body)
    if ((await giveIn(await logIn(person))).status === 200) wrong.push('a used code was accepted')
    return pair
  }

  async function logIn ({ username, password }: Living): Promise<Pair> {
    return started((await must([200], 'POST', '/token', { body: { username, password } })).body)
  }

  async function refresh (pair: Pair): Promise<Pair> {
    return started((await must([200], 'POST', '/token/refresh', { body: { refresh: pair.refresh } })).body)
  }

  async function revoke (pair: Pair): Promise<void> {
    await must([204, 401], 'POST', '/token/revoke', { access: pair.access })
    ended(pair)
  }

  // These requests use a live session. 401 means that an earlier attempt succeeded and its answer was lost; so does the refusal
  // of a repetition shortly after.

  async function disable ({ username }: Living, pair: Pair): Promise<void> {
    const { status, body } = await must([200, 400, 401], 'DELETE', '/totp/delete', { access: pair.access })
    told.push({ kind: 'disabled', username })
    ended(pair)
    if (status === 200) started(body)
  }

  async function manageDevices (person: Living, { access, refresh }: Pair): Promise<void> {
    const { body } = await must([201], 'POST', '/totp/create', { access, body: { name: 'Second' } })
    const deviceId = String(body['deviceId'])
    const pair = await prove(person, { access, refresh }, { secret: secretOf(String(body['otpUrl'])), lastStep: 0 })
    if (pair === null) return
    const removed = await must([200, 401, 404], 'DELETE', `/totp/devices/${deviceId}`, { access: pair.access })
    told.push({ kind: 'device removed', username: person.username, deviceId })
    ended(pair)
    if (removed.status === 200) started(removed.body)
  }

  /** If the answer of the reset or of the log-in is lost, the reset is repeated and returns another code. */
  async function haveReset (person: Living, pair: Pair): Promise<void> {
    const { sub } = claimsOf(pair.access)
    for (;;) {
      const { body } = await must([200], 'POST', `/admin/users/${sub}/reset-otp`, { access: staff.access, body: { reason: 'It is lost.' } })
      told.push({ kind: 'reset', username: person.username })
      ended(pair)
      const { username, password } = person
      const opened = await must([200, 403], 'POST', '/token', { body: { username, password, setupCode: body['setupCode'] } })
      if (opened.status === 200 && await setUp(person, started(opened.body)) !== null) return
    }
  }

  async function deleteAccount ({ username }: Living, pair: Pair): Promise<void> {
    told.push({ kind: 'deleting', username })
    await must([204, 401], 'DELETE', '/account', { access: pair.access })
    told.push({ kind: 'deleted', username })
    ended(pair)
  }

  async function changePassword (person: Living, pair: Pair): Promise<void> {
    const { username, password } = person
    const { body } = await must(
      [200, 401, 403, 409], 'POST', '/account/password', { access: pair.access, body: { current: password, next: NEW_PASSWORD } }
    )
    // The change was done by an earlier attempt, or the correct password was refused by mistake. The log-in shows which.
    Object.assign(person, { password: NEW_PASSWORD })
    ended(pair)
    if (body['access'] !== undefined) started(body)
    await logIn(person)
    told.push({ kind: 'password changed', username, password: NEW_PASSWORD })
  }

  function started (body: Record<string, unknown>): Pair {
    const pair = { access: String(body['access']), refresh: String(body['refresh']) }
    const { sid, gen } = claimsOf(pair.refresh)
    told.push({ kind: 'started', sessionId: sid, generation: gen, access: pair.access })
    return pair
  }

  function ended ({ access }: Pair): void {
    told.push({ kind: 'ended', sessionId: claimsOf(access).sid, access })
  }
}

function claimsOf (token: string): { sub: string, sid: string, gen: number } {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sub: string, sid: string, gen: number }
}
