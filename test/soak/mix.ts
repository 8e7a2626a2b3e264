import type { Answer, Client } from './client.js'
import { hasCode, nextCode, PASSWORD, wrongCode, type Person } from './people.js'

/**
 * User actions, and their shares. `login` continues with a code, if the user has an unused one; `mistype` is a wrong code in a
 * verified session, and every fourth time the right one; `attack` is a wrong code from an attacker that has only the password.
 */
const MIX = { session: 0.88, refresh: 0.06, login: 0.02, mistype: 0.03, attack: 0.01 } as const
type Action = keyof typeof MIX

/** Correct answers per request. Any other answer is unexpected. */
const RIGHT = {
  session: ['200'],
  refresh: ['200'],
  password: ['200'],
  code: ['200'],
  'wrong code': ['400 OTP_INVALID'],
  'wrong code, locked out': ['400 OTP_INVALID', '429 OTP_LOCKED']
} as const satisfies Record<string, readonly string[]>
export type Kind = keyof typeof RIGHT

/** Reports one request and its result. `fault` is null if the answer was correct. */
export type Report = (kind: Kind, answer: Answer, fault: string | null) => void

/** A verified session ends with its fifth wrong code, so the right code comes before that. */
const MISTAKES = 3
/** A session that needs a code lives 300 s. The attacker logs in again well before that. */
const ATTACKER_LOGIN_MS = 200_000

interface User extends Person { mistakes: number, isBusy: boolean }

/** @param people the last one is the victim of the attack */
export function createMix (client: Client, people: readonly Person[], report: Report) {
  const everyone: User[] = people.map((person) => Object.assign(person, { mistakes: 0, isBusy: false }))
  const owners = everyone.slice(0, -1)
  const attacked = everyone.at(-1)!
  const turns: Record<Action, number> = { session: 0, refresh: 0, login: 0, mistype: 0, attack: 0 }
  let attackerLoggedInAtMs = -Infinity
  let begun = 0

  async function ask (kind: Kind, ...asked: Parameters<Client['ask']>): Promise<Answer> {
    const answer = await client.ask(...asked)
    report(kind, answer, faultOf(kind, answer))
    return answer
  }

  /** Changes to the tokens or the unused codes of one user run one at a time. */
  async function alone (person: User, work: () => Promise<void>): Promise<void> {
    person.isBusy = true
    await work().finally(() => { person.isBusy = false })
  }

  async function session ({ access }: User): Promise<void> {
    await ask('session', 'GET', '/session', { access })
  }

  async function refresh (person: User): Promise<void> {
    keep(person, await ask('refresh', 'POST', '/token/refresh', { body: { refresh: person.refresh } }))
  }

  async function login (person: User): Promise<void> {
    const loggedIn = await ask('password', 'POST', '/token', { body: { username: person.username, password: PASSWORD } })
    if (loggedIn.status !== 200 || !hasCode(person)) return
    const { access } = JSON.parse(loggedIn.text) as { access: string }
    keepVerified(person, await ask('code', 'POST', '/totp/login', { access, body: { token: nextCode(person) } }))
  }

  async function mistype (person: User): Promise<void> {
    if (person.mistakes < MISTAKES) {
      person.mistakes++
      await ask('wrong code', 'POST', '/totp/login', { access: person.access, body: { token: wrongCode(person, begun) } })
    } else if (hasCode(person)) {
      keepVerified(person, await ask('code', 'POST', '/totp/login', { access: person.access, body: { token: nextCode(person) } }))
    } else {
      await session(person)
    }
  }

  async function attack (person: User): Promise<void> {
    if (performance.now() - attackerLoggedInAtMs > ATTACKER_LOGIN_MS) {
      keep(person, await ask('password', 'POST', '/token', { body: { username: person.username, password: PASSWORD } }))
      attackerLoggedInAtMs = performance.now()
    }
    await ask('wrong code, locked out', 'POST', '/totp/login', { access: person.access, body: { token: wrongCode(person, begun) } })
  }

  const doing = { refresh, login, mistype }

  return {
    /** Runs the next user action; resolves when it is done. */
    async next (): Promise<void> {
      const action = pick(begun++)
      const turn = turns[action]++
      if (action === 'attack') return attacked.isBusy ? await session(owners[0]!) : await alone(attacked, () => attack(attacked))
      const person = owners[turn % owners.length]!
      if (action === 'session' || person.isBusy) return await session(person)
      await alone(person, () => doing[action](person))
    }
  }
}

/** Only an accepted code resets the mistakes: an attempt that was answered with 503 can also have counted. */
function keepVerified (person: User, answer: Answer): void {
  keep(person, answer)
  if (answer.status === 200) person.mistakes = 0
}

function keep (person: User, { status, text }: Answer): void {
  if (status === 200) Object.assign(person, JSON.parse(text))
}

function faultOf (kind: Kind, { status, text }: Answer): string | null {
  const said = status === 200 ? '200' : status === 0 ? `no answer: ${text}` : `${status} ${codeOf(text)}`
  return (RIGHT[kind] as readonly string[]).includes(said) ? null : `${kind}: ${said}`
}

function codeOf (text: string): string {
  try {
    return (JSON.parse(text) as { code?: string }).code ?? ''
  } catch {
    return ''
  }
}

/** Distributed evenly, not at random, so that two runs are alike. */
function pick (n: number): Action {
  let share = (n * 0.618_033_988_75) % 1
  for (const [action, part] of Object.entries(MIX) as Array<[Action, number]>) {
    if (share < part) return action
    share -= part
  }
  return 'session'
}
