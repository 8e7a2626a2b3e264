import type { Fresh } from './app.js'
import { Person, signUp } from './person.js'

/** A member of staff with a second factor, verified just now. */
export async function staffAt ({ app, db }: Pick<Fresh, 'app' | 'db'>, name = 'grace'): Promise<Person> {
  const person = await signUp(app, name)
  await db.query('update account set is_staff = true where username = $1', [name])
  return await person.enrol()
}

/** The id of whoever is logged in. */
export const idOf = (person: Person): string => String(person.claims()['sub'])
