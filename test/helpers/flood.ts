import type { Test } from 'tap'
import { createHasher, type Hasher } from '../../src/accounts/hasher.js'
import { countOutcomes } from './answers.js'
import { freshApp, type App, type Fresh } from './app.js'
import { logInFrom } from './logins.js'
import { signUp, type Person } from './person.js'
import type { Settings } from './settings.js'
import { until } from './wait.js'

export const HOME = '203.0.113.7'
const IN_FLIGHT = 300
/** Log-ins of the owner, while others are in flight. */
export const OWN_LOGINS = 8

export interface FloodedWorld {
  app: App
  db: Fresh['db']
  ada: Person
  hasher: Hasher
  /** @returns a function that ends the hold */
  hold: () => () => void
}

/** Builds a service that hashes two passwords at a time, and none during a hold. */
export async function floodedWorld (t: Test, settings: Settings): Promise<FloodedWorld> {
  const real = await createHasher(2)
  let held: Promise<void> | undefined
  const hasher: Hasher = {
    ...real,
    async verify (...args) {
      await held
      return await real.verify(...args)
    }
  }
  const hold = () => {
    let open = () => {}
    held = new Promise((resolve) => { open = resolve })
    return open
  }
  const { app, db } = await freshApp(t, settings, { hasher })
  return { app, db, ada: await signUp(app), hasher, hold }
}

/** Returns how many of the owner's log-ins succeed while other log-ins are in flight and fill the queue. */
export async function passedFlood (t: Test, world: FloodedWorld, flood: (i: number) => ReturnType<typeof logInFrom>): Promise<number> {
  const { app, ada, hasher, hold } = world
  const open = hold()
  const others = Array.from({ length: IN_FLIGHT }, (_, i) => flood(i))
  await until('the queue to be full', () => hasher.state().waiting >= 200)
  const logins = Array.from({ length: OWN_LOGINS }, () => logInFrom(app, HOME, 'ada', ada.password))
  open()
  const own = await Promise.all(logins)
  const answers = countOutcomes(await Promise.all(others))
  t.ok(answers['503 BUSY']! >= IN_FLIGHT - 204, JSON.stringify(answers))
  return own.filter(({ statusCode }) => statusCode === 200).length
}
