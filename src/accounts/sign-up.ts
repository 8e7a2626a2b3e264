import { randomUUID } from 'node:crypto'
import { passwordFault, unacceptable, type PasswordRule } from '../core/passwords/password-rule.js'
import { normalisePassword } from '../core/passwords/passwords.js'
import { Refusal } from '../core/refusals.js'
import type { ClientOrigin } from '../core/session.js'
import { normaliseUsername, USERNAME_MAX_LENGTH, usernameKey } from '../core/usernames.js'
import { insertAccount } from './accounts.js'
import type { Db } from '../tables/db.js'
import type { Hasher } from './hasher.js'
import type { WaiterOf } from './waiters.js'

export interface SignUp {
  username: string
  email: string
  locale: string | null
  password: string
  firstName: string
  lastName: string
  phone: string
}

export interface SignUpDeps { db: Db, hasher: Hasher, waiterOf: WaiterOf, passwordRule: PasswordRule }

export async function signUp ({ db, hasher, waiterOf, passwordRule }: SignUpDeps, person: SignUp, origin: ClientOrigin) {
  const username = normaliseUsername(person.username)
  if (username === null) {
    throw new Refusal('REQUEST_INVALID', {
      field: 'username', hint: { key: 'usernameForm', values: { limit: USERNAME_MAX_LENGTH } }
    })
  }
  const password = normalisePassword(person.password)
  const fault = await passwordFault(password, { username, names: [person.firstName, person.lastName] }, passwordRule)
  if (fault !== null) throw unacceptable(fault)
  const id = randomUUID()
  const made = await insertAccount(db, {
    ...person,
    id,
    username,
    usernameKey: usernameKey(username),
    passwordHash: await hasher.inTurn(() => hasher.hash(password), waiterOf(username, origin))
  }, origin)
  if (made === null) throw new Refusal('USERNAME_TAKEN')
  return { id, username, createdAt: made.createdAt }
}
