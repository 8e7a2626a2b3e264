import { command } from '../../helpers/command.js'
import type { Answer } from '../recorder.js'
import { Abandoned, living, type Person, type Session } from './person.js'
import { moved } from './proofs.js'
import { ended, guard, observe, refreshOnce, type World } from './world.js'

/** Shows a session to every replica, so that each may keep it in its caches. */
async function showAll (world: World, person: Person, session: Session): Promise<void> {
  await Promise.all(world.client.several(person.isHost, 2).map((replica) => guard(world, person, session, replica)))
}

const verified = (person: Person): Session | undefined => living(person).find(({ isVerified }) => isVerified)

/** Logs out of a session. */
export async function logOut (world: World, person: Person): Promise<void> {
  const { client, random } = world
  const sessions = living(person)
  if (sessions.length === 0) return
  const session = random.pick(sessions)
  await showAll(world, person, session)
  const answer = await client.ask(client.anyOf(person.isHost), 'POST', '/token/revoke', { access: session.access })
  ended(world, person, answer, [session])
}

/** The person ends all other sessions, or staff end all. */
export async function endMany (world: World, person: Person): Promise<void> {
  const { client, random, staff } = world
  const before = living(person)
  const own = verified(person)
  for (const session of before.slice(-2)) await showAll(world, person, session)
  if (own === undefined || random.chance(0.4)) {
    const answer = await staff.ask('DELETE', `/admin/users/${person.userId}/sessions`, { reason: 'It looks odd.' })
    return ended(world, person, answer, before)
  }
  const answer = await client.ask(client.anyOf(false), 'DELETE', '/account/sessions', { access: own.access })
  ended(world, person, answer, before.filter(({ id }) => id !== own.id))
}

/** Switches the second factor off, or removes the passkey. @throws {Abandoned} where it is not known whether that happened */
export async function removeFactor (world: World, person: Person): Promise<void> {
  const { client, random } = world
  const own = verified(person)
  if (own === undefined) return
  const isAll = person.passkey === null || random.chance(0.5)
  const path = isAll ? '/totp/delete' : `/totp/devices/${person.passkey!.id}`
  const before = living(person)
  for (const session of before.slice(-2)) await showAll(world, person, session)
  const answer = await client.ask(client.anyOf(person.isHost), 'DELETE', path, { access: own.access })
  if (answer.status === 0 || answer.status >= 500) throw new Abandoned('removed or not')
  if (answer.status !== 200) return
  // Without the passkey alone, a session keeps its proof by the app: a recovery code then does not end it.
  moved(world, person, answer, own, before, 'all', !isAll)
  Object.assign(person, { passkey: null, ...(isAll ? { device: null, codes: [] } : {}) })
}

/** Deletes the account. */
export async function leave (world: World, person: Person): Promise<void> {
  const { client } = world
  const own = verified(person)
  if (own === undefined) return
  const before = living(person)
  for (const session of before.slice(-2)) await showAll(world, person, session)
  ended(world, person, await client.ask(client.anyOf(false), 'DELETE', '/account', { access: own.access }), before)
  throw new Abandoned('left')
}

/** A refresh token at two replicas at once, sometimes with the token before it. */
export async function refresh (world: World, person: Person): Promise<void> {
  const { client, random } = world
  const sessions = living(person).filter((session) => session.refresh !== null)
  if (sessions.length === 0) return
  const session = random.pick(sessions)
  const newest = { token: session.refresh!, generation: session.generation }
  const tokens = [newest, newest, ...(session.former !== null && random.chance(0.15) ? [session.former] : [])]
  const replicas = client.several(false, tokens.length)
  await Promise.all(tokens.map((token, n) => refreshOnce(world, session, token, replicas[n])))
  if (random.chance(0.2)) await observe(world, person, 'generation', session.id)
  // The parent, after its child was used: that ends the session, which is recorded by nobody.
  if (session.former !== null && random.chance(0.15)) await refreshOnce(world, session, session.former)
}

/** Guards of any session. */
export async function look (world: World, person: Person): Promise<void> {
  const sessions = living(person)
  if (sessions.length > 0) await showAll(world, person, world.random.pick(sessions))
}

let commands = 0

/** `sessions end --all`: every session of the service whose start was answered before. */
export async function endAll (world: World, settings: Record<string, string>): Promise<boolean> {
  const before = [...world.people].map((person) => ({ person, sessions: living(person) }))
  const invokedMs = performance.now()
  const { code } = await command(['sessions', 'end', '--all'], settings)
  const answer: Answer = {
    request: --commands, at: 'command', status: code === 0 ? 200 : 0, code: '', body: {}, invokedMs, answeredMs: performance.now()
  }
  for (const { person, sessions } of before) ended(world, person, answer, sessions)
  return code === 0
}
