import { randomUUID } from 'node:crypto'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { clockOf, type App } from './app.js'
import { doorOf } from './door.js'
import { PERIOD_SECONDS, secretOf, stepAt, totp } from './authenticator.js'

type Method = NonNullable<InjectOptions['method']>

const LOGINS_AT_ONCE = 4

/** A phone with one device. All sessions of a person share it, because a used step is used for all of them. */
interface Phone { secret?: Buffer, lastStep: number }

interface Identity { app: App, username: string, password: string, phone: Phone }

/**
 * A user with a password, in one session, and with a phone after enrolment. Each request returns the whole response; tokens in
 * an answer are kept.
 */
export class Person {
  readonly app: App
  readonly username: string
  readonly password: string
  readonly phone: Phone
  access: string | null = null
  refresh: string | null = null
  deviceId: string | null = null
  recoveryCodes: string[] = []

  constructor ({ app, username, password, phone }: Identity) {
    this.app = app
    this.username = username
    this.password = password
    this.phone = phone
  }

  /** Returns the same person in another browser or at another replica: same phone, no tokens yet. */
  elsewhere (app: App = this.app): Person {
    return new Person({ app, username: this.username, password: this.password, phone: this.phone })
  }

  /** Returns the same session at another replica: same phone, same tokens. */
  at (app: App): Person {
    return Object.assign(this.elsewhere(app), { access: this.access, refresh: this.refresh })
  }

  /** @param token null sends none */
  async request (method: Method, url: string, body?: object, token: string | null = this.access): Promise<LightMyRequestResponse> {
    const door = doorOf(this.app)
    return await this.app.inject({
      method,
      url: door.path(url),
      headers: token === null ? {} : door.headers(token),
      ...(body === undefined ? {} : { payload: body })
    })
  }

  async login (password = this.password): Promise<LightMyRequestResponse> {
    const answer = this.#keep(await this.request('POST', '/token', { username: this.username, password }, null))
    // A host's session starts with its first request.
    if (doorOf(this.app).isHost && answer.statusCode === 200) await this.refreshTokens()
    return answer
  }

  async refreshTokens (refresh = this.refresh): Promise<LightMyRequestResponse> {
    if (doorOf(this.app).isHost) return await this.request('POST', '/token/refresh')
    return this.#keep(await this.request('POST', '/token/refresh', { refresh }, null))
  }

  /** Begins a device. From then on, the phone shows codes of this device. */
  async create (body: { name?: string, password?: string } = {}): Promise<LightMyRequestResponse> {
    const answer = await this.request('POST', '/totp/create', body)
    if (answer.statusCode === 201) {
      const { otpUrl, deviceId, recoveryCodes } = answer.json<{ otpUrl: string, deviceId: string, recoveryCodes: string[] }>()
      this.phone.secret = secretOf(otpUrl)
      this.phone.lastStep = 0
      this.deviceId = deviceId
      if (recoveryCodes.length > 0) this.recoveryCodes = recoveryCodes
    }
    return answer
  }

  /** Sends a code, to confirm a pending device or to verify. By default, the next unused code. */
  async verify (code?: string): Promise<LightMyRequestResponse> {
    return this.#keep(await this.request('POST', '/totp/login', { token: code ?? await this.nextCode() }))
  }

  async confirm (code?: string): Promise<LightMyRequestResponse> {
    return await this.verify(code)
  }

  async recover (code = this.recoveryCodes.shift() ?? ''): Promise<LightMyRequestResponse> {
    return this.#keep(await this.request('POST', '/totp/recovery_code/login', { token: code }))
  }

  /** Logs in, begins a device and confirms it. @throws if one of the three is refused */
  async enrol (): Promise<this> {
    expect(200, await this.login())
    expect(201, await this.create())
    expect(200, await this.confirm())
    return this
  }

  /** Returns the phone's code, `offsetSteps` later by the database's clock. The caller tracks whether it is used. */
  async code (offsetSteps = 0): Promise<string> {
    return totp(this.#secret(), stepAt(await clockOf(this.app).now()) + offsetSteps)
  }

  /** Returns an unused code. If there is none, moves the database's clock forward by one period, for all users. */
  async nextCode (): Promise<string> {
    const clock = clockOf(this.app)
    let step = stepAt(await clock.now())
    while (step <= this.phone.lastStep) {
      await clock.advance(PERIOD_SECONDS)
      step = stepAt(await clock.now())
    }
    this.phone.lastStep = step
    return totp(this.#secret(), step)
  }

  /** Returns different well-formed codes that match no step near the window. @param from other codes for another number */
  async wrongCodes (count: number, from = 0): Promise<string[]> {
    const near = await Promise.all([-2, -1, 0, 1, 2, 3].map((offset) => this.code(offset)))
    return Array.from({ length: count + near.length }, (_, i) => String(100_000 + ((from + i) * 7919) % 900_000))
      .filter((code) => !near.includes(code)).slice(0, count)
  }

  /** Returns one of these codes, another one for each number. */
  async wrongCode (nth = 0): Promise<string> {
    return (await this.wrongCodes(1, nth * 10))[0]!
  }

  /** Decodes a token without a check. */
  claims (token: string | null = this.access): Record<string, unknown> {
    const payload = token?.split('.')[1]
    if (payload === undefined) throw new Error(`${this.username} has no such token`)
    return JSON.parse(Buffer.from(payload, 'base64url').toString())
  }

  #secret (): Buffer {
    if (this.phone.secret === undefined) throw new Error(`${this.username} has no device: create() one first`)
    return this.phone.secret
  }

  #keep (answer: LightMyRequestResponse): LightMyRequestResponse {
    if (answer.statusCode === 200) {
      const { access, refresh } = answer.json<{ access?: string, refresh?: string }>()
      this.access = access ?? this.access
      this.refresh = refresh ?? this.refresh
    }
    return answer
  }
}

/** Signs up a user at an app of `freshApp`, without a log-in. */
export async function signUp (app: App, name = 'ada', email = `${name}@example.org`): Promise<Person> {
  const person = new Person({ app, username: name, password: randomUUID(), phone: { lastStep: 0 } })
  const { username, password } = person
  expect(201, await person.request('POST', '/users', { username, email, password }, null))
  return person
}

/**
 * Logs a person in `count` more times, unverified, on these apps in turn. A few at once, because more would exceed the budget
 * of guesses.
 */
export async function sessionsOf (person: Person, count: number, apps: readonly App[] = [person.app]): Promise<Person[]> {
  const sessions = Array.from({ length: count }, (_, i) => person.elsewhere(apps[i % apps.length]))
  for (let i = 0; i < count; i += LOGINS_AT_ONCE) {
    for (const answer of await Promise.all(sessions.slice(i, i + LOGINS_AT_ONCE).map((session) => session.login()))) expect(200, answer)
  }
  return sessions
}

export function userId (person: Person): string {
  return String(person.claims()['sub'])
}

/** For steps that prepare the test. */
export function expect (status: number, answer: LightMyRequestResponse): LightMyRequestResponse {
  if (answer.statusCode !== status) throw new Error(`Expected ${status}, got ${answer.statusCode}: ${answer.body}`)
  return answer
}
