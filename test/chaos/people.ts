import { call } from '../helpers/http-client.js'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'

/** A user with a verified session, with the data that a client keeps. */
export interface Person {
  username: string
  password: string
  secret: Buffer
  recoveryCodes: string[]
  access: string
  refresh: string
  /** Last step of which a code was sent. No code is sent twice. */
  lastStep: number
}

const PASSWORD = 'a password for bad days'
/** Passwords are really hashed; more in parallel would only wait. */
const AT_ONCE = 8

/** Signs up `count` users, each with a confirmed device and a verified session. */
export async function gather (bases: string[], count: number): Promise<Person[]> {
  const people: Person[] = []
  const waiting = Array.from({ length: count }, (_, i) => `person-${Date.now()}-${i}`)
  await Promise.all(Array.from({ length: AT_ONCE }, async (_, lane) => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) people.push(await enrol(bases[lane % bases.length]!, name))
  }))
  return people
}

async function enrol (base: string, username: string): Promise<Person> {
  await expect(201, call(base, 'POST', '/users', { body: { username, email: `${username}@example.org`, password: PASSWORD } }))
  const { access } = await logIn(base, username, PASSWORD)
  const created = (await expect(201, call(base, 'POST', '/totp/create', { access }))).json() as { otpUrl: string, recoveryCodes: string[] }
  const person = {
    username,
    password: PASSWORD,
    secret: secretOf(created.otpUrl),
    recoveryCodes: created.recoveryCodes,
    lastStep: 0,
    access,
    refresh: ''
  }
  const verified = await expect(200, call(base, 'POST', '/totp/login', { access, body: { token: nextCode(person) } }))
  const pair = verified.json() as { access: string, refresh: string }
  return { ...person, ...pair }
}

export async function logIn (base: string, username: string, password: string): Promise<{ access: string, refresh: string }> {
  return (await expect(200, call(base, 'POST', '/token', { body: { username, password } }))).json()
}

/** A request that is sent now is judged within this time. */
const JUDGED_MS = 3_000

/** Returns an unused code: of the oldest unused step that is still in the window when it is judged. */
export function nextCode (person: Pick<Person, 'secret' | 'lastStep'>): string {
  const step = Math.max(person.lastStep + 1, stepAt(new Date(Date.now() + JUDGED_MS)) - 1)
  person.lastStep = step
  return totp(person.secret, step)
}

/** Returns true if `nextCode` would return a code that is accepted now. */
export function hasCode (person: Pick<Person, 'lastStep'>): boolean {
  return person.lastStep < stepAt(new Date()) + 1
}

async function expect<Answer extends { status: number, text: string }> (status: number, asked: Promise<Answer>): Promise<Answer> {
  const answer = await asked
  if (answer.status !== status) throw new Error(`${status} expected: ${answer.status} ${answer.text}`)
  return answer
}
