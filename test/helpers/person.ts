import { randomUUID } from 'node:crypto'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { clockOf, type App } from './app.js'
import { doorOf } from './door.js'
import { PERIOD_SECONDS, secretOf, stepAt, totp } from './authenticator.js'

type Method = NonNullable<InjectOptions['method']>

const LOGINS_AT_ONCE = 4

/** A phone with one device on it. Shared by all sessions of a person, since a step is used up for all of them. */
interface Phone { secret?: Buffer, lastStep: number }

interface Identity { app: App, username: string, password: string, phone: Phone }

/**
 * Somebody with a password and perhaps a phone, in one session. Every request returns the whole response; tokens that
 * an answer brings are kept. Passwords are hashed for real: a sign-up and a login cost some 12 ms of CPU each.
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

  /** The same person elsewhere: another browser, or at another replica. The same phone, no tokens yet. */
  elsewhere (app: App = this.app): Person {
    return new Person({ app, username: this.username, password: this.password, phone: this.phone })
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
    // A host's session begins here when it is first seen.
    if (doorOf(this.app).isHost && answer.statusCode === 200) await this.refreshTokens()
    return answer
  }

  async refreshTokens (refresh = this.refresh): Promise<LightMyRequestResponse> {
    if (doorOf(this.app).isHost) return await this.request('POST', '/token/refresh')
    return this.#keep(await this.request('POST', '/token/refresh', { refresh }, null))
  }

  /** Begins a device. From here on the phone shows codes of this one. */
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

  /** Sends a code, to confirm a pending device or to verify: the next unused one unless told. */
  async verify (code?: string): Promise<LightMyRequestResponse> {
    return this.#keep(await this.request('POST', '/totp/login', { token: code ?? await this.nextCode() }))
  }

  async confirm (code?: string): Promise<LightMyRequestResponse> {
    return await this.verify(code)
  }

  async recover (code = this.recoveryCodes.shift() ?? ''): Promise<LightMyRequestResponse> {
    return this.#keep(await this.request('POST', '/totp/recovery_code/login', { token: code }))
  }

  /** Logs in, begins a device and confirms it. @throws where one of the three is refused */
  async enrol (): Promise<this> {
    expect(200, await this.login())
    expect(201, await this.create())
    expect(200, await this.confirm())
    return this
  }

  /** What the phone shows, or would show that many steps later, by the database's clock. Used or not: that is the caller's to know. */
  async code (offsetSteps = 0): Promise<string> {
    return totp(this.#secret(), stepAt(await clockOf(this.app).now()) + offsetSteps)
  }

  /** A code that this phone has not given yet. Waits for it by moving the database's clock, everyone's, by one period. */
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

  /** A well-formed code that fits no step of the window. */
  async wrongCode (): Promise<string> {
    const near = await Promise.all([-2, -1, 0, 1, 2].map((offset) => this.code(offset)))
    return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !near.includes(code)) ?? ''
  }

  /** What a token says, unchecked. */
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

/** Signs somebody up at an app of `freshApp`. Not logged in yet. */
export async function signUp (app: App, name = 'ada'): Promise<Person> {
  const person = new Person({ app, username: name, password: randomUUID(), phone: { lastStep: 0 } })
  const { username, password } = person
  expect(201, await person.request('POST', '/users', { username, email: `${name}@example.org`, password }, null))
  return person
}

/**
 * That many more sessions of a person, unverified, on these apps by turns. A few at once, since more would use up the
 * budget of guesses.
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

/** For steps on the way to what a test is about. */
export function expect (status: number, answer: LightMyRequestResponse): LightMyRequestResponse {
  if (answer.statusCode !== status) throw new Error(`Expected ${status}, got ${answer.statusCode}: ${answer.body}`)
  return answer
}
