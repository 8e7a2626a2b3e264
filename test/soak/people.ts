import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import type { Client } from './client.js'

/** A user with a device and a verified session, with the data that a client keeps. */
export interface Person {
  username: string
  secret: Buffer
  /** Last step of which a code was sent. No code is sent twice. */
  lastStep: number
  access: string
  refresh: string
}

export const PASSWORD = 'a password for long runs'
/** Passwords are really hashed; more in parallel would only wait. */
const AT_ONCE = 8

/** Signs up `count` users, each with a confirmed device and a verified session. @throws at the first refusal */
export async function gather (client: Client, count: number): Promise<Person[]> {
  const people: Person[] = []
  const names = Array.from({ length: count }, (_, i) => `soak-${i}`)
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) people.push(await enrol(client, name))
  }))
  return people
}

async function enrol (client: Client, username: string): Promise<Person> {
  const ask = async (status: number, path: string, given: Parameters<Client['ask']>[2]) => {
    const answer = await client.ask('POST', path, given)
    if (answer.status !== status) throw new Error(`${path}: ${answer.status} ${answer.text}`)
    return JSON.parse(answer.text)
  }
  await ask(201, '/users', { body: { username, email: `${username}@example.org`, password: PASSWORD } })
  const { access } = await ask(200, '/token', { body: { username, password: PASSWORD } })
  const { otpUrl } = await ask(201, '/totp/create', { access })
  const person = { username, secret: secretOf(otpUrl), lastStep: 0 }
  return Object.assign(person, await ask(200, '/totp/login', { access, body: { token: nextCode(person) } }))
}

/** Returns true if the phone has an unused code that is accepted now: of this step, or of the next. */
export function hasCode ({ lastStep }: Pick<Person, 'lastStep'>): boolean {
  return lastStep <= stepAt(new Date())
}

/** Returns an unused code, never of the previous step: it is sometimes too old when it arrives. */
export function nextCode (person: Pick<Person, 'secret' | 'lastStep'>): string {
  person.lastStep = Math.max(person.lastStep + 1, stepAt(new Date()))
  return totp(person.secret, person.lastStep)
}

/** Returns a code that matches no step near the window. */
export function wrongCode ({ secret }: Pick<Person, 'secret'>, seed: number): string {
  const now = stepAt(new Date())
  const near = [-2, -1, 0, 1, 2].map((offset) => totp(secret, now + offset))
  for (let n = seed; ; n++) {
    const code = String(n % 1_000_000).padStart(6, '0')
    if (!near.includes(code)) return code
  }
}
