import { sql } from 'kysely'
import { insertFactors, knownPasskeys } from '../factors/moving/statements.js'
import { isOfItsValues } from '../postgres/errors.js'
import type { Db } from '../tables/db.js'
import { inTransaction, type Tx } from '../tables/transaction.js'
import type { PreparedPerson } from './prepare.js'
import { insertAccounts, insertOauth, lockImports, selectKnown, selectNamesakes } from './statements.js'

/** Results of one batch, by the user's id there. */
export interface Written {
  brought: Set<string>
  /** Users of an earlier run: `changed` if there is other data now, `deleted` if the account was deleted here. */
  here: Map<string, 'same' | 'changed' | 'deleted'>
  /** Existing username that collides, in any case. */
  collisions: Map<string, string>
  /** Users with a value that the database refuses, or a passkey that is registered here; nothing of them was written. */
  refused: Map<string, string>
}

export type WriteBatch = (people: readonly PreparedPerson[]) => Promise<Written>

/** Reverts a rehearsal. */
class TakenBack extends Error {}

const REFUSED = 'has a value that the database refuses, such as a date that is none'
const TAKEN = 'has a passkey that is registered here already'

/**
 * Imports users, one transaction for each batch, so that a new run continues after a crash. A rehearsal runs the same code
 * in one transaction and reverts it, so that it finds the same faults.
 *
 * @param work gets the database for other statements, too: a rehearsal holds the only connection of an embedded one
 */
export async function importing<T> (
  db: Db, source: string, isRehearsal: boolean, work: (write: WriteBatch, connected: Db) => Promise<T>
): Promise<T> {
  if (!isRehearsal) {
    return await work((people) => withoutRefused((some) => inTransaction(db, (tx) => writeBatch(tx, source, some)), people), db)
  }
  let result: { value: T } | undefined
  await db.kysely.transaction().execute(async (kysely) => {
    const tx: Tx = { ...db, kysely, inTransaction: true }
    result = { value: await work((people) => withoutRefused((some) => inSavepoint(tx, () => writeBatch(tx, source, some)), people), tx) }
    throw new TakenBack()
  }).catch((error: unknown) => { if (!(error instanceof TakenBack)) throw error })
  return result!.value
}

/** Writes a refused batch in halves down to the refused row, so that one row does not exclude the others. */
async function withoutRefused (write: WriteBatch, people: readonly PreparedPerson[]): Promise<Written> {
  try {
    return await write(people)
  } catch (error) {
    if (!isOfItsValues(error)) throw error
    if (people.length === 1) return { ...nothing(), refused: new Map([[people[0]!.externalId, REFUSED]]) }
  }
  const half = Math.ceil(people.length / 2)
  const [one, other] = [await withoutRefused(write, people.slice(0, half)), await withoutRefused(write, people.slice(half))]
  return {
    brought: new Set([...one.brought, ...other.brought]),
    here: new Map([...one.here, ...other.here]),
    collisions: new Map([...one.collisions, ...other.collisions]),
    refused: new Map([...one.refused, ...other.refused])
  }
}

const nothing = (): Written => ({ brought: new Set(), here: new Map(), collisions: new Map(), refused: new Map() })

async function inSavepoint<T> (tx: Tx, work: () => Promise<T>): Promise<T> {
  await sql`savepoint batch`.execute(tx.kysely)
  try {
    return await work()
  } catch (error) {
    await sql`rollback to savepoint batch`.execute(tx.kysely)
    throw error
  }
}

/** Inserts new users only; existing users stay unchanged. */
async function writeBatch (tx: Tx, source: string, people: readonly PreparedPerson[]): Promise<Written> {
  if (people.length === 0) return nothing()
  await lockImports.first(tx)
  const byId = new Map(people.map((person) => [person.externalId, person]))
  const known = await selectKnown.all(tx, { source, externalIds: [...byId.keys()] })
  const here = new Map(known.map(({ externalId, fingerprint, isThere }) => {
    const isSame = fingerprint === byId.get(externalId)!.account.fingerprint
    return [externalId, !isThere ? 'deleted' as const : isSame ? 'same' as const : 'changed' as const]
  }))
  const candidates = people.filter(({ externalId }) => !here.has(externalId))
  const taken = await knownPasskeys(tx, candidates.flatMap(({ factors }) => factors.passkeys))
  const [refused, fresh] = [new Map<string, string>(), [] as PreparedPerson[]]
  for (const person of candidates) {
    if (person.factors.passkeys.some((passkey) => taken.has(passkey))) refused.set(person.externalId, TAKEN)
    else fresh.push(person)
  }
  if (fresh.length === 0) return { ...nothing(), here, refused }

  const rows = JSON.stringify(fresh.map(({ account }) => account))
  const made = new Set((await insertAccounts.all(tx, { rows, source })).map(({ id }) => id))
  const brought = fresh.filter(({ account }) => made.has(account.id))
  const oauthProfiles = brought.flatMap(({ oauthProfiles }) => oauthProfiles)
  if (oauthProfiles.length > 0) await insertOauth.changed(tx, { rows: JSON.stringify(oauthProfiles) })
  await insertFactors(tx, {
    devices: brought.flatMap(({ factors }) => factors.devices),
    passkeys: brought.flatMap(({ factors }) => factors.passkeys),
    codes: brought.flatMap(({ factors }) => factors.codes)
  })
  return {
    brought: new Set(brought.map(({ externalId }) => externalId)),
    here,
    collisions: await namesakes(tx, fresh.filter(({ account }) => !made.has(account.id))),
    refused
  }
}

async function namesakes (tx: Tx, people: readonly PreparedPerson[]): Promise<Map<string, string>> {
  if (people.length === 0) return new Map()
  const found = await selectNamesakes.all(tx, { keys: people.map(({ account }) => account.usernameKey) })
  const names = new Map(found.map(({ key, username }) => [key, username]))
  return new Map(people.map(({ externalId, account }) => [externalId, names.get(account.usernameKey) ?? '']))
}
