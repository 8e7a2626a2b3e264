import { call } from '../helpers/http-client.js'
import { secretOf } from '../helpers/authenticator.js'
import { hasCode, nextCode } from './people.js'
import type { PostgresServer } from './postgres-server.js'
import { pass } from './scenario.js'

/** What was answered with success: true ever after, whatever broke meanwhile. */
export type Told =
  | { kind: 'signed up', username: string }
  | { kind: 'started', sessionId: string, generation: number, access: string }
  | { kind: 'ended', sessionId: string, access: string }
  | { kind: 'accepted', username: string, step: number }
  | { kind: 'recovered', username: string }
  | { kind: 'disabled', username: string }

export interface Lives {
  told: Told[]
  /** Answers that should have been others, and how long all of them took. */
  wrong: string[]
  answersMs: number[]
  /** Each ends what it is at, and stops. */
  stop (): Promise<void>
}

interface Pair { access: string, refresh: string }
interface Living { username: string, secret: Buffer, lastStep: number, codes: string[] }
interface Answer { status: number, body: Record<string, unknown> }

const PASSWORD = 'a password for bad days'
/** Between two steps of a life: most of the work is hashing, and others want to do some too. */
const PAUSE_MS = 10

/**
 * People who do, one after the other, all that changes who gets in: each signs up, sets up a device, verifies, recovers,
 * refreshes, logs out, and some switch it off again. Codes are given to two replicas at once. What got no answer, or a
 * 503, is tried again elsewhere, as a client would.
 */
export function startLives (bases: string[], count: number): Lives {
  const told: Told[] = []
  const wrong: string[] = []
  const answersMs: number[] = []
  const stopping = new AbortController()
  let asked = 0

  const lives: Lives = {
    told,
    wrong,
    answersMs,
    async stop () {
      stopping.abort()
      await Promise.all(lanes)
    }
  }
  const lanes = Array.from({ length: count }, async (_, lane) => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      await live(`life-${Date.now()}-${lane}-${n}`, n).catch((error: unknown) => { if (!(error instanceof Abandoned)) wrong.push(String(error)) })
    }
  })
  return lives

  async function live (username: string, n: number): Promise<void> {
    await must([201, 409], 'POST', '/users', { body: { username, email: `${username}@example.org`, password: PASSWORD } })
    told.push({ kind: 'signed up', username })
    const person: Living = { username, secret: Buffer.alloc(0), lastStep: 0, codes: [] }
    let pair = await enrol(person, n)
    const [sibling, other] = [await logIn(username), await logIn(username)]
    await revoke(other)
    pair = await refresh(pair)
    const verified = await prove(person, sibling)
    if (verified !== null) await revoke(pair)
    const recovered = await prove(person, await logIn(username), 'recovery')
    if (n % 3 === 0 && recovered !== null) await disable(username, recovered)
  }

  /** Until a device is confirmed. Where the answer to that got lost, the status tells; its commit may even come late, and end the session. */
  async function enrol (person: Living, n: number): Promise<Pair> {
    for (;;) {
      const session = await logIn(person.username)
      const { access } = session
      const status = await must([200, 401], 'GET', '/totp/status', { access })
      if (status.body['isOtpEnabled'] === true) return session
      if (n % 4 === 0) {
        await must([201, 401, 403], 'POST', '/totp/create', { access })
        await must([200, 400, 401, 409], 'DELETE', '/totp/rollback', { access })
      }
      const { status: made, body } = await must([201, 401, 403], 'POST', '/totp/create', { access })
      if (made !== 201) continue
      Object.assign(person, { secret: secretOf(String(body['otpUrl'])), codes: body['recoveryCodes'], lastStep: 0 })
      const pair = await prove(person, session)
      if (pair !== null) return pair
    }
  }

  /** One code to two replicas at once: one of them accepts it, or none if something broke. Then it is tried once more. */
  async function prove (person: Living, session: Pair, how: 'totp' | 'recovery' = 'totp'): Promise<Pair | null> {
    if (how === 'totp' && !hasCode(person)) return null
    const token = how === 'totp' ? nextCode(person) : person.codes.pop()
    const [path, refusal] = how === 'totp' ? ['/totp/login', 'OTP_INVALID'] : ['/totp/recovery_code/login', 'RECOVERY_CODE_INVALID']
    const give = async (with_: Pair) => await ask('POST', path, { access: with_.access, body: { token } })
    const answers = await Promise.all([give(session), give(session)])
    const accepted = answers.filter(({ status }) => status === 200)
    for (const { status, body } of answers) {
      if (![200, 0, 503].includes(status) && ![refusal, 'SESSION_ENDED', 'OTP_LOCKED'].includes(String(body['code']))) wrong.push(`${path}: ${status} ${String(body['code'])}`)
    }
    if (accepted.length > 1) wrong.push(`one code was accepted ${accepted.length} times`)
    if (accepted[0] === undefined) return null
    told.push(how === 'totp' ? { kind: 'accepted', username: person.username, step: person.lastStep } : { kind: 'recovered', username: person.username })
    const again = await give(await logIn(person.username))
    if (again.status === 200) wrong.push('a used code was accepted')
    return started(accepted[0].body)
  }

  async function logIn (username: string): Promise<Pair> {
    return started((await must([200], 'POST', '/token', { body: { username, password: PASSWORD } })).body)
  }

  async function refresh (pair: Pair): Promise<Pair> {
    return started((await must([200], 'POST', '/token/refresh', { body: { refresh: pair.refresh } })).body)
  }

  async function revoke (pair: Pair): Promise<void> {
    await must([204, 401], 'POST', '/token/revoke', { access: pair.access })
    ended(pair)
  }

  async function disable (username: string, pair: Pair): Promise<void> {
    const { status, body } = await must([200, 401], 'DELETE', '/totp/delete', { access: pair.access })
    told.push({ kind: 'disabled', username })
    ended(pair)
    if (status === 200) started(body)
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

  /** Until there is an answer, and it is one of these. */
  async function must (statuses: number[], method: string, path: string, given: { body?: object, access?: string } = {}): Promise<Answer> {
    for (;;) {
      const answer = await ask(method, path, given)
      if (statuses.includes(answer.status)) return answer
      if (answer.status !== 0 && answer.status !== 503) throw new Error(`${path}: ${answer.status} ${String(answer.body['code'])}`)
      if (stopping.signal.aborted) throw new Abandoned()
    }
  }

  async function ask (method: string, path: string, given: { body?: object, access?: string }): Promise<Answer> {
    await pass(PAUSE_MS)
    const beganAtMs = performance.now()
    try {
      const { status, text } = await call(bases[asked++ % bases.length]!, method, path, given)
      answersMs.push(performance.now() - beganAtMs)
      return { status, body: text === '' ? {} : JSON.parse(text) as Record<string, unknown> }
    } catch {
      return { status: 0, body: {} }
    }
  }
}

/** Nobody waits for its answers any more. */
class Abandoned extends Error {}

function claimsOf (token: string): { sid: string, gen: number } {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sid: string, gen: number }
}

/** What of it is not so any more, in the tables and for a replica. */
export async function checkTold (told: Told[], { query }: Pick<PostgresServer, 'query'>, base: string): Promise<string[]> {
  const lost: string[] = []
  const names = new Map((await query('select username, id::text as id from account')).map(({ username, id }) => [username, id]))
  const sessions = new Map((await query('select id, generation, ended_at from otp_session')).map((row) => [row['id'], row]))
  const users = new Map((await query(`
    select u.user_id, (select max(last_step) from otp_device d where d.user_id = u.user_id and confirmed_at is not null) as step,
      (select count(*)::int from otp_event e where e.user_id = u.user_id and kind in ('otp_enabled', 'otp_verified')) as accepted,
      (select count(*)::int from otp_event e where e.user_id = u.user_id and kind = 'recovery_used') as recovered,
      (select count(*)::int from otp_event e where e.user_id = u.user_id and kind = 'otp_disabled') as disabled
    from otp_user u`)).map((row) => [row['user_id'], row]))
  const count = (kind: Told['kind'], username: string) => told.filter((one) => one.kind === kind && 'username' in one && one.username === username).length

  for (const one of told) {
    const user = 'username' in one ? users.get(names.get(one.username)) : undefined
    const session = 'sessionId' in one ? sessions.get(one.sessionId) : undefined
    const holds = {
      'signed up': () => user !== undefined,
      started: () => session !== undefined && Number(session['generation']) >= (one as { generation: number }).generation,
      ended: () => session !== undefined && session['ended_at'] !== null,
      accepted: () => Number(user?.['accepted']) >= count('accepted', (one as { username: string }).username) &&
        (Number(user?.['disabled']) > 0 || Number(user?.['step']) >= (one as { step: number }).step),
      recovered: () => Number(user?.['recovered']) >= count('recovered', (one as { username: string }).username),
      disabled: () => Number(user?.['disabled']) === 1 && user?.['step'] === null
    }[one.kind]()
    if (!holds) lost.push(`lost: ${one.kind}`)
  }
  for (const one of told.filter(({ kind }) => kind === 'ended').slice(-100)) {
    const { status } = await call(base, 'GET', '/session', { access: (one as { access: string }).access })
    if (status !== 401) lost.push(`an ended session was answered with ${status}`)
  }
  return lost
}
