import type { App } from './app.js'
import { expect, Person, signUp } from './person.js'

export interface Phone { id: string, secret: Buffer }

/** The same person elsewhere, with one of their phones in hand. */
export function holding ({ app, username, password }: Person, { secret }: Phone, at: App = app): Person {
  return new Person({ app: at, username, password, phone: { secret, lastStep: 0 } })
}

/** Somebody with that many devices, verified and fresh by the last one. */
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
