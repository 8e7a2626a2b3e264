import type { Fresh } from './app.js'
import { Person, signUp } from './person.js'

/** Returns a staff member with a second factor, verified just now. */
export async function staffAt ({ app, db }: Pick<Fresh, 'app' | 'db'>, name = 'grace'): Promise<Person> {
  const person = await signUp(app, name)
  await db.query('update account set is_staff = true where username = $1', [name])
  return await person.enrol()
}

/** Returns the id of the logged-in user. */
export const idOf = (person: Person): string => String(person.claims()['sub'])
