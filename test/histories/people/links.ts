import { pass } from '../../chaos/scenario.js'
import { resultOf } from '../recorder.js'
import { Abandoned, living, type Person } from './person.js'
import { setUp } from './proofs.js'
import { ended, opened, type World } from './world.js'

/** A mail waits for a worker, which may be paused. */
const MAIL_MS = 6_000
const POLL_MS = 50

/** Returns the token of the next mail to a person. */
async function mailedToken ({ mail: { received }, isStopping }: World, { email }: Person): Promise<string | null> {
  for (const endMs = performance.now() + MAIL_MS; performance.now() < endMs && !isStopping(); await pass(POLL_MS)) {
    const index = received.findIndex(({ to, token }) => token !== null && to.includes(email))
    if (index >= 0) return received.splice(index, 1)[0]!.token
  }
  return null
}

/** Verifies the address of a person, by the link in a mail. */
export async function verifyAddress (world: World, person: Person, access: string): Promise<void> {
  const { client } = world
  await client.ask(client.anyOf(false), 'POST', '/account/email/verify', { access })
  const token = await mailedToken(world, person)
  if (token === null) return
  const { status } = await client.ask(client.anyOf(false), 'POST', '/account/email/confirm', { body: { token } })
  person.hasMail = status === 204
}

/** A forgotten password: the token of the mail goes to several replicas at once, and once more later. */
export async function forget (world: World, person: Person): Promise<void> {
  const { client, recorder, random } = world
  if (!person.hasMail) return
  await client.ask(client.anyOf(false), 'POST', '/password/forgot', { body: { username: person.name } })
  const token = await mailedToken(world, person)
  if (token === null) return
  const next = `a password for ${random.between(0, 2 ** 31)} bad days`
  const before = living(person)
  const give = async (replica = client.anyOf(false)): Promise<void> => {
    const answer = await client.ask(replica, 'POST', '/password/reset', { body: { token, next } })
    const result = recorder.add('reset', token, answer)
    if (result === 'refused') return
    ended(world, person, answer, before)
    if (result === 'ok') Object.assign(person, { password: next, otherPassword: null })
    else if (person.password !== next) person.otherPassword = next
  }
  await Promise.all(client.several(false, random.between(2, 3)).map(give))
  await give()
}

/** Staff reset the second factor; the set-up code goes to several replicas at once. Then the person sets up a device. */
export async function beReset (world: World, person: Person): Promise<void> {
  const { client, recorder, staff, random } = world
  const before = living(person)
  const reset = await staff.ask('POST', `/admin/users/${person.userId}/reset-otp`, { reason: 'It is lost.' })
  ended(world, person, reset, before)
  if (resultOf(reset) === 'refused') return
  const { setupCode } = reset.body
  // The code is in the answer that was lost.
  if (typeof setupCode !== 'string') throw new Abandoned('no set-up code')
  Object.assign(person, { device: null, codes: [], passkey: null })
  const body = { username: person.name, password: person.password, setupCode }
  await Promise.all(client.several(false, random.between(2, 3)).map(async (replica) => {
    const answer = await client.ask(replica, 'POST', '/token', { body })
    recorder.add('setup', `${person.name} ${setupCode}`, answer)
    if (answer.status === 200) opened(person, answer.body, false)
  }))
  const session = living(person).at(-1)
  if (session === undefined) throw new Abandoned('no session with the set-up code')
  await setUp(world, person, session)
}
