import type { PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON } from '../../../src/core/passkeys/webauthn.js'
import { softPasskey } from '../../../src/testing/soft-passkey.js'
import { pass } from '../../chaos/scenario.js'
import { secretOf, stepAt, totp } from '../../helpers/authenticator.js'
import type { Kind } from '../history.js'
import { resultOf, type Answer } from '../recorder.js'
import { ORIGIN } from '../stage/stage.js'
import { Abandoned, living, type Person, type Session } from './person.js'
import { ended, guard, observe, opened, type World } from './world.js'

/** Sessions that a success ends beside the requester's, if it moves: none, those without a second factor, or all. */
type Scope = 'own' | 'unverified' | 'all'

interface Race {
  path: string
  body: object
  kind: Kind
  key: string
  given?: number
  scope: Scope
}

/** Attempts until something that must be there is given up. */
const TRIES = 5
const RETRY_MS = 100

/** Logs in with the password. @throws {Abandoned} if it was not possible */
export async function logIn (world: World, person: Person): Promise<Session> {
  const { client } = world
  for (let tries = 0; tries < TRIES; tries++) {
    const answer = await client.ask(client.anyOf(person.isHost), 'POST', '/token', {
      body: { username: person.name, password: person.password }
    })
    if (answer.status === 200) {
      const session = opened(person, answer.body, false)
      // At a host, the plugin knows a session from its first request on; it cannot end one that it does not know.
      if (!person.isHost || (await guard(world, person, session)).status === 200) return session
      person.sessions = person.sessions.filter((one) => one !== session)
    }
    if (resultOf(answer) === 'refused' && person.otherPassword !== null) {
      Object.assign(person, { password: person.otherPassword, otherPassword: person.password })
    }
    await pass(tries * RETRY_MS)
  }
  throw new Abandoned('no log-in')
}

/** Sends one proof from several sessions at once, each to another replica. @returns the session of a success */
export async function race (
  world: World, person: Person, sessions: readonly Session[], { path, body, kind, key, given, scope }: Race
): Promise<Session | null> {
  const { client, recorder } = world
  const before = living(person)
  const replicas = client.several(person.isHost, sessions.length)
  let proven: Session | null = null
  await Promise.all(sessions.map(async (session, n) => {
    const answer = await client.ask(replicas[n]!, 'POST', path, { access: session.access, body })
    recorder.add(kind, key, answer, given === undefined ? {} : { given })
    if (answer.status === 200) proven = moved(world, person, answer, session, before, scope)
  }))
  return proven
}

/** Takes the session of an answer, and records the ends. */
export function moved (
  world: World, person: Person, answer: Answer, session: Session, before: readonly Session[], scope: Scope, isVerified = true
): Session {
  const next = opened(person, answer.body, isVerified)
  const over = before.filter((one) => one.id !== next.id &&
    (one.id === session.id || scope === 'all' || (scope === 'unverified' && !one.isVerified)))
  ended(world, person, answer, over)
  return next
}

/** Sets up an authenticator app and confirms it, by one code at two replicas. @throws {Abandoned} if it was not possible */
export async function setUp (world: World, person: Person, session: Session): Promise<Session> {
  const { client, random } = world
  const { body } = await client.ask(client.anyOf(person.isHost), 'POST', '/totp/create', { access: session.access })
  if (body['otpUrl'] === undefined) throw new Abandoned('no set-up')
  person.device = { id: String(body['deviceId']), secret: secretOf(String(body['otpUrl'])) }
  person.codes = [...body['recoveryCodes'] as string[]]
  // An older step leaves room for later ones.
  const confirmed = await giveCode(world, person, [session, session], stepAt(new Date()) - (random.chance(0.7) ? 1 : 0), 'all')
  if (confirmed === null) throw new Abandoned('not confirmed')
  return confirmed
}

/** Gives the code of a step from several sessions at once. Then, sometimes, reads the step in the table. */
export async function giveCode (
  world: World, person: Person, sessions: readonly Session[], step: number, scope: Scope = 'own'
): Promise<Session | null> {
  const { id, secret } = person.device!
  const proven = await race(world, person, sessions, {
    path: '/totp/login', body: { token: totp(secret, step) }, kind: 'code', key: id, given: step, scope
  })
  if (world.random.chance(0.3)) await observe(world, person, 'step', id)
  return proven
}

/** Codes of any step in the window, new, used and older ones, from verified and other sessions. */
export async function verify (world: World, person: Person): Promise<void> {
  const { random } = world
  const sessions = await proving(world, person)
  const step = stepAt(new Date()) + random.between(-1, 1)
  if (random.chance(0.6)) await giveCode(world, person, sessions, step)
  else {
    // Two steps at once. The table shows which was accepted last.
    await Promise.all([giveCode(world, person, sessions.slice(0, 1), step), giveCode(world, person, sessions.slice(1), step - 1)])
    await observe(world, person, 'step', person.device!.id)
  }
}

/** Two or three sessions: verified ones, which stay, or those of new log-ins. */
async function proving (world: World, person: Person): Promise<Session[]> {
  const { random } = world
  const count = random.between(2, 3)
  const sessions = random.chance(0.5) ? living(person).filter(({ isVerified }) => isVerified).slice(-count) : []
  while (sessions.length < count) sessions.push(await logIn(world, person))
  return sessions
}

/** A recovery code, new or used, from two or three sessions. */
export async function recover (world: World, person: Person): Promise<void> {
  const { random } = world
  const token = random.chance(0.3) ? person.codes[0] : person.codes.at(-1)
  if (token === undefined) return
  const sessions = await proving(world, person)
  await race(world, person, sessions, {
    path: '/totp/recovery_code/login', body: { token }, kind: 'recovery', key: `${person.name} ${token}`, scope: 'unverified'
  })
  // The used codes come first.
  person.codes = [token, ...person.codes.filter((code) => code !== token)]
}

/** Adds a passkey: its answer to the challenge goes to two replicas. */
export async function addPasskey (world: World, person: Person): Promise<void> {
  const { client } = world
  const session = living(person).find(({ isVerified }) => isVerified)
  if (session === undefined) return
  const { body } = await client.ask(client.anyOf(person.isHost), 'POST', '/totp/passkeys/create', {
    access: session.access, body: { name: 'Key' }
  })
  const options = body['options'] as PublicKeyCredentialCreationOptionsJSON | undefined
  if (options === undefined) return
  const key = softPasskey({ origin: ORIGIN, synced: true })
  const added = await race(world, person, [session, session], {
    path: '/totp/passkeys/confirm', body: { response: key.register(options) }, kind: 'challenge', key: options.challenge, scope: 'all'
  })
  if (added !== null) person.passkey = { id: String(body['deviceId']), key }
}

/** Answers a challenge several times at once, sometimes with a wrong answer among them. */
export async function usePasskey (world: World, person: Person): Promise<void> {
  const { client, random } = world
  if (person.passkey === null) return await addPasskey(world, person)
  const { key } = person.passkey
  const session = random.chance(0.7) ? living(person).find(({ isVerified }) => isVerified) : undefined
  const requester = session ?? await logIn(world, person)
  const { body } = await client.ask(client.anyOf(person.isHost), 'POST', '/totp/passkeys/challenge', { access: requester.access })
  const options = body['options'] as PublicKeyCredentialRequestOptionsJSON | undefined
  if (options === undefined) return
  const give = async (times: number, isWrong: boolean): Promise<unknown> => await race(world, person, Array(times).fill(requester), {
    path: '/totp/passkeys/login',
    body: { response: key.authenticate(options, isWrong ? { origin: 'https://elsewhere.example' } : {}) },
    kind: 'challenge',
    key: options.challenge,
    scope: 'unverified'
  })
  await Promise.all([give(2, false), ...(random.chance(0.2) ? [give(1, true)] : [])])
  if (random.chance(0.3)) await give(1, false)
}
