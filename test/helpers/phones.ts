import type { App } from './app.js'
import { expect, Person, signUp } from './person.js'

export interface Phone { id: string, secret: Buffer }

/** Returns the same person in another session, with one of their phones. */
export function holding ({ app, username, password }: Person, { secret }: Phone, at: App = app): Person {
  return new Person({ app: at, username, password, phone: { secret, lastStep: 0 } })
}

/** Creates a user with `count` devices, verified by the last one just now. */
export async function withPhones (app: App, name: string, count: number): Promise<{ person: Person, phones: Phone[] }> {
  const person = await (await signUp(app, name)).enrol()
  const phones = [phoneOf(person)]
  while (phones.length < count) {
    expect(201, await person.create({ name: `Phone ${phones.length + 1}` }))
    expect(200, await person.confirm())
    phones.push(phoneOf(person))
  }
  return { person, phones }
}

export function phoneOf ({ deviceId, phone }: Person): Phone {
  return { id: deviceId!, secret: phone.secret! }
}
