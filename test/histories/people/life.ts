import { pass } from '../../chaos/scenario.js'
import { Abandoned, type Person } from './person.js'
import { endMany, leave, logOut, look, refresh, removeFactor } from './ends.js'
import { beReset, forget, verifyAddress } from './links.js'
import { logIn, recover, setUp, usePasskey, verify } from './proofs.js'
import type { World } from './world.js'

const acts = {
  look, verify, usePasskey, recover, refresh, logOut, endMany, removeFactor, forget, beReset, leave
} satisfies Record<string, (world: World, person: Person) => Promise<unknown>>
export type Act = keyof typeof acts

/** How often a person does each act. A host has no routes for the last ones. */
const SERVICE: Readonly<Record<Act, number>> = {
  look: 8, verify: 10, usePasskey: 8, recover: 4, refresh: 12, logOut: 4, endMany: 2, removeFactor: 2, forget: 4, beReset: 3, leave: 0.5
}
const HOST: Readonly<Record<Act, number>> = {
  ...SERVICE, logOut: 1, refresh: 0, endMany: 0, forget: 0, beReset: 0, leave: 0, removeFactor: 4
}
const MOST_ACTS = 60
const FAVOURED = 20
const PASSWORD = 'a password for good days'
/** Longest pause of a person that gave up, in ms. */
const REST_MS = 2_000

/** Lives one life after the other: signs up, sets up a device, then does one act after the other until it gives up or has done enough. */
export async function live (world: World, isHost: boolean, lane: number, favourite?: Act): Promise<void> {
  const { random, client, isStopping, people } = world
  const weights = { ...(isHost ? HOST : SERVICE) }
  if (favourite !== undefined) weights[favourite] *= FAVOURED
  for (let life = 0; !isStopping(); life++) {
    const name = `${isHost ? 'host' : 'person'}-${lane}-${life}`
    const person: Person = {
      name,
      email: `${name}@example.org`,
      hasMail: false,
      isHost,
      password: PASSWORD,
      otherPassword: null,
      userId: '',
      device: null,
      codes: [],
      passkey: null,
      sessions: []
    }
    try {
      await client.ask(client.anyOf(isHost), 'POST', '/users', {
        body: { username: name, password: PASSWORD, ...(isHost ? {} : { email: person.email }) }
      })
      if (!isHost) people.add(person)
      const session = await logIn(world, person)
      if (!isHost) await verifyAddress(world, person, session.access)
      await setUp(world, person, session)
      for (let n = 0; n < MOST_ACTS && !isStopping(); n++) {
        if (person.device === null) await setUp(world, person, await logIn(world, person))
        await acts[random.weighted(weights)](world, person)
      }
    } catch (error) {
      if (!(error instanceof Abandoned)) throw error
      // Where nothing is answered, more requests would only keep it so.
      await pass(random.between(0, REST_MS))
    } finally {
      people.delete(person)
    }
  }
}
