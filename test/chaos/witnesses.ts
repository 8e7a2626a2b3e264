import { call } from '../helpers/http-client.js'
import { stepAt, totp } from '../helpers/authenticator.js'
import { until } from '../helpers/wait.js'
import { nextCode, type Person } from './people.js'
import type { Replica } from './stage.js'

type Answer = Awaited<ReturnType<typeof call>>

/** Number of users that the witnesses need. */
export const WITNESSES = 3

/**
 * Users outside the load, with a decision from before the fault. Each method returns sentences for the decisions that did not
 * hold; none if all held.
 */
export interface Witnesses {
  during (): Promise<string[]>
  after (): Promise<string[]>
}

export interface WitnessOptions {
  /** REVOCATION_SECONDS of the replicas, in milliseconds. */
  revocationMs?: number
  /** False if Redis loses its counters in the fault, so that budgets per network start again. */
  limitsHold?: boolean
}

/** Budget of codes per network and minute, and the number of attempts against it. */
const CODE_BUDGET = 60
const TRIED = 80
const AT_ONCE = 20

/**
 * Prepares the witnesses on two replicas with NETWORK_LIMITS on that trust X-Forwarded-For: a user whose second factor is
 * locked, a user whose code is used, a user that logged out.
 *
 * @throws if a decision does not hold at the start
 */
export async function callWitnesses (
  replicas: Replica[], people: Person[], { revocationMs = 1_000, limitsHold = true }: WitnessOptions = {}
): Promise<Witnesses> {
  const [here, there] = replicas.map(({ base }) => base) as [string, string]
  const [locked, replayer, leaver] = people as [Person, Person, Person]

  const lockedAccess = await signIn(here, locked)
  const wrongCodes = wrongCodesOf(locked)
  for (const token of wrongCodes.slice(0, 5)) expectCode('OTP_INVALID', await verify(here, lockedAccess, token))
  expectCode('OTP_LOCKED', await verify(here, lockedAccess, wrongCodes[5]!))

  const used: string[] = []
  let turn = 0
  /** Sends one code to both replicas at once, in two sessions. Only one is accepted. */
  async function race (): Promise<string[]> {
    const code = nextCode(replayer)
    const sessions = [await signIn(here, replayer), await signIn(there, replayer)] as const
    const answers = await Promise.all([verify(here, sessions[0], code), verify(there, sessions[1], code)])
    used.push(code)
    const winners = answers.filter(({ status }) => status === 200).length
    const losers = answers.filter((answer) => codeOf(answer) === 'OTP_INVALID').length
    return winners === 1 && losers === 1 ? [] : [`one code at two replicas at once: ${answers.map(spell).join(' and ')}`]
  }
  none(await race())

  const gone: string[] = []
  const [stays, leaves] = [await signIn(there, leaver), await signIn(here, leaver)]
  /** Logs a session out at one replica, and asks the other until it is refused. */
  async function leave (access: string): Promise<string[]> {
    await Promise.all([here, there].map(async (base) => expectStatus(200, await askStatus(base, access))))
    expectStatus(204, await ask(here, 'POST', '/token/revoke', { access }))
    gone.push(access)
    const endedAtMs = performance.now()
    const atOnce = (await askStatus(here, access)).status
    let lastServedMs = 0
    await until('the other replica to refuse an ended session', async () => {
      const beganAtMs = performance.now()
      const { status } = await askStatus(there, access)
      if (status === 200) lastServedMs = beganAtMs - endedAtMs
      return status === 401
    })
    return [
      ...(atOnce === 401 ? [] : [`the replica that ended a session answers it with ${atOnce}`]),
      ...(lastServedMs <= revocationMs ? [] : [`an ended session was served ${Math.round(lastServedMs)} ms later`])
    ]
  }
  none(await leave(await signIn(here, leaver)))
  none(await sharedBudget())

  async function sharedBudget (): Promise<string[]> {
    const over = await overspent(replicas)
    return over === null ? [] : [`${over} over two replicas`]
  }

  async function ownBudgets (): Promise<string[]> {
    return (await Promise.all(replicas.map((replica) => overspent([replica])))).filter((over) => over !== null)
  }

  async function decided (): Promise<string[]> {
    const wrong: string[] = []
    // Sends each code once, to the replicas in turn: the sixth failure would be refused for any code.
    for (const code of used) {
      turn++
      const base = [here, there][turn % 2]!
      const replayed = await verify(base, await signIn(base, replayer), code)
      if (codeOf(replayed) !== 'OTP_INVALID') wrong.push(`a used code: ${spell(replayed)}`)
    }
    turn++
    const lockedThere = await signIn(there, locked)
    for (const [base, access] of [[here, lockedAccess], [there, lockedThere]] as const) {
      const answer = await verify(base, access, totp(locked.secret, stepAt(new Date())))
      if (codeOf(answer) !== 'OTP_LOCKED') wrong.push(`a lock was forgotten: ${spell(answer)}`)
      for (const access of gone) {
        const answer = await askStatus(base, access)
        if (codeOf(answer) !== 'SESSION_ENDED' && codeOf(answer) !== 'TOKEN_INVALID') wrong.push(`an ended session: ${spell(answer)}`)
      }
      const staying = await askStatus(base, stays)
      if (staying.status !== 200) wrong.push(`a session that goes on: ${spell(staying)}`)
    }
    return wrong
  }

  return {
    during: async () => [...limitsHold ? await ownBudgets() : [], ...await leave(leaves), ...await race(), ...await decided()],
    after: async () => [...await decided(), ...await sharedBudget()]
  }
}

let networks = 0
/** Returns a network that no request came from yet. */
function freshNetwork (): string {
  networks++
  return `11.${(networks >> 16) & 255}.${(networks >> 8) & 255}.${networks & 255}`
}

async function ask (
  base: string, method: string, path: string, requester: { body?: object, access?: string }, network = freshNetwork()
): Promise<Answer> {
  return await call(base, method, path, { ...requester, headers: { 'x-forwarded-for': network } })
}

/** Returns the access token of a session with the password alone. */
export async function signIn (base: string, { username, password }: Person): Promise<string> {
  return (expectStatus(200, await ask(base, 'POST', '/token', { body: { username, password } })).json() as { access: string }).access
}

export async function verify (base: string, access: string, token: string): Promise<Answer> {
  return await ask(base, 'POST', '/totp/login', { access, body: { token } })
}

/** Returns 200 for every live session, with or without a second factor. */
export async function askStatus (base: string, access: string): Promise<Answer> {
  return await ask(base, 'GET', '/totp/status', { access })
}

/**
 * Uses one network's budget up, at these replicas in turn.
 *
 * @returns null if no more attempts passed than allowed. Without Redis, each replica counts alone, and starts again at each
 * change between Redis and local counters: that allows as many additional budgets
 */
async function overspent (replicas: Replica[]): Promise<string | null> {
  const network = freshNetwork()
  const changesBefore = changeovers(replicas)
  let sent = 0
  let allowed = 0
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (sent < TRIED) {
      const { base } = replicas[sent++ % replicas.length]!
      const { status } = await ask(base, 'POST', '/totp/login', { body: { token: '000000' } }, network)
      if (status !== 429) allowed++
    }
  }))
  const budgets = 1 + changeovers(replicas) - changesBefore
  return allowed >= CODE_BUDGET && allowed <= CODE_BUDGET * budgets ? null : `${allowed} of a budget of ${CODE_BUDGET}`
}

/** Returns how often Redis went down or up, as the replicas saw it. */
function changeovers (replicas: Replica[]): number {
  return replicas.flatMap(({ process }) => process.said().match(/"Redis is (up|down)/g) ?? []).length
}

/** Returns six codes that match no step of the next minutes and differ from each other: a repeated one would be refused as known. */
function wrongCodesOf ({ secret }: Person): string[] {
  const near = Array.from({ length: 20 }, (_, i) => totp(secret, stepAt(new Date()) - 10 + i))
  return Array.from({ length: 30 }, (_, i) => String(i).padStart(6, '0')).filter((code) => !near.includes(code)).slice(0, 6)
}

export function codeOf ({ text }: Answer): string | undefined {
  return text === '' ? undefined : (JSON.parse(text) as { code?: string }).code
}

export function spell (answer: Answer): string {
  return `${answer.status} ${codeOf(answer) ?? ''}`.trim()
}

function expectStatus (expected: number, answer: Answer): Answer {
  if (answer.status !== expected) throw new Error(`${expected} expected: ${spell(answer)}`)
  return answer
}

function expectCode (expected: string, answer: Answer): void {
  if (codeOf(answer) !== expected) throw new Error(`${expected} expected: ${spell(answer)}`)
}

function none (wrong: string[]): void {
  if (wrong.length > 0) throw new Error(`before the fault: ${wrong.join('; ')}`)
}
