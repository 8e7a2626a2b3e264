import { Kysely, sql } from 'kysely'
import t from 'tap'
import { secondFactorMigrations, serviceMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { createDb } from '../../src/tables/db.js'
import { placed, statement, type Parameters } from '../../src/tables/statement.js'
import { inTransaction } from '../../src/tables/transaction.js'
import { arrayAs, inOne, numberAs, textOf, timeAs, typed, uuidOf, wordsAs } from '../../src/tables/values.js'
import { emptyPool } from '../helpers/empty-pool.js'

const pool = await emptyPool(t)
await migrateUp(pool.dialect, serviceMigrations)
await sql`create schema other`.execute(new Kysely<unknown>({ dialect: pool.dialect }))
await migrateUp(pool.dialect, secondFactorMigrations, 'other')

let builds = 0
const addBudget = statement('test_add', (db, p: Parameters<{ userId: string, networks: string[], at: Date }>) => {
  builds++
  return db.with('added', (db) => db.insertInto('otp_password_budget')
    .columns(['user_id', 'network', 'window_started_at', 'spent'])
    .expression((eb) => eb
      .selectFrom(eb.fn<{ network: string }>('unnest', [eb.cast<string[]>(eb.val(p.networks), sql`text[]`)]).as('network'))
      .select([eb.cast<string>(eb.val(p.userId), 'text').as('user'), sql<string>`network`.as('name'),
        eb.cast<Date>(eb.val(p.at), 'timestamptz').as('at'), eb.lit(1).as('one')]))
    .onConflict((oc) => oc.columns(['user_id', 'network']).doUpdateSet((eb) => ({ spent: eb('otp_password_budget.spent', '+', 1) })))
    .returning(['network', 'spent']))
    .selectFrom('added').select(['network', 'spent']).orderBy('network')
})
const budgets = statement('test_list', (db, p: Parameters<{ userId: string }>) => db.selectFrom('otp_password_budget as b')
  .select((eb) => ['b.network', 'b.spent', timeAs(eb.ref('b.window_started_at'), 'startedAt')])
  .where('b.user_id', '=', p.userId).orderBy('b.network'))
const spend = statement('test_spend', (db, p: Parameters<{ userId: string, networks: string[] }>) => db.updateTable('otp_password_budget')
  .set({ spent: 7 }).where('user_id', '=', p.userId).where('network', '=', (eb) => eb.fn.any(eb.val(p.networks))))
const variant = statement('test_variant', (db, _p: Parameters<object>, { hasAccounts }) => db.selectNoFrom((eb) => [
  eb.cast<string>(eb.val(placed(({ schema }) => schema ?? 'none')), 'text').as('schema'), eb.lit(hasAccounts).as('hasAccounts')]))

t.test('a statement is compiled once, and gets its values by their place', async (t) => {
  const db = createDb(pool.dialect)
  const at = new Date('2026-01-02T03:04:05.678Z')
  const given = { userId: 'ada', networks: ['a', 'b'], at }
  const built = builds
  t.strictSame(await addBudget.all(db, given), [{ network: 'a', spent: 1 }, { network: 'b', spent: 1 }])
  t.strictSame(await addBudget.all(db, { ...given, networks: ['b'] }), [{ network: 'b', spent: 2 }])
  t.equal(builds, built + 1)
  t.strictSame(await budgets.all(db, { userId: 'ada' }), [
    { network: 'a', spent: 1, startedAt: at }, { network: 'b', spent: 2, startedAt: at }])
  t.equal(await spend.changed(db, { userId: 'ada', networks: ['a', 'c'] }), 1)
  t.equal((await budgets.first(db, { userId: 'ada' }))?.spent, 7)
  t.equal(await budgets.first(db, { userId: 'eve' }), undefined)
})

t.test('each schema and each kind of database has its own text', async (t) => {
  const [service, host] = [createDb(pool.dialect, { hasAccounts: true }), createDb(pool.dialect, { schema: 'other' })]
  await addBudget.all(host, { userId: 'host', networks: ['a'], at: new Date(0) })
  t.equal(await budgets.first(service, { userId: 'host' }), undefined)
  t.match(await budgets.first(host, { userId: 'host' }), { network: 'a' })
  t.strictSame(await variant.first(service), { schema: 'none', hasAccounts: true })
  t.strictSame(await variant.first(host), { schema: 'other', hasAccounts: false })
  t.strictSame(await variant.first({ ...host, hasAccounts: true }), { schema: 'other', hasAccounts: true })
})

t.test('a transaction runs the same statement, and its rollback takes it back', async (t) => {
  const db = createDb(pool.dialect)
  await t.rejects(inTransaction(db, async (tx) => {
    t.equal((await addBudget.all(tx, { userId: 'eve', networks: ['a'], at: new Date(0) })).length, 1)
    throw new Error('undo')
  }))
  t.strictSame(await budgets.all(db, { userId: 'eve' }), [])
})

t.test('a watch sees the values of a statement, and learns if it failed', async (t) => {
  const seen: unknown[] = []
  const watch = { newId: () => 'id', ran: (parameters: readonly unknown[], succeeded: boolean) => { seen.push([parameters, succeeded]) } }
  const db = { ...createDb(pool.dialect), watch }
  await budgets.all(db, { userId: 'ada' })
  await t.rejects(addBudget.all(db, { userId: 'ada', networks: [null as never], at: new Date(0) }))
  t.strictSame(seen, [[['ada'], true], [['ada', new Date(0), [null]], false]])
})

const texts = statement('test_texts', (db, p: Parameters<{ userId: string }>) => db.selectNoFrom((eb) => [
  textOf<string>(p.userId).as('first'), textOf<string>(p.userId).as('second'), uuidOf(p.userId).as('id'),
  textOf<string>("it's $1").as('text'), typed<string[]>(['a b', '"', '\\', ''], 'text[]').as('array'),
  typed<string[]>([], 'text[]').as('none'),
  typed<number>(Infinity, 'float8').as('never'), typed<number>(-1, 'integer').as('less'), eb.val<boolean | null>(null).as('nothing')
]))

t.test('a value is one parameter, however often it is used, and a constant is none', async (t) => {
  const db = createDb(pool.dialect)
  const userId = '6f3f6f0e-31a5-4f0a-9d0e-0d4f6f1c2a3b'
  t.equal(texts.compile(db).parameters.length, 1)
  t.strictSame(await texts.first(db, { userId }), {
    first: userId,
    second: userId,
    id: userId,
    text: "it's $1",
    array: ['a b', '"', '\\', ''],
    none: [],
    never: Infinity,
    less: -1,
    nothing: null
  })
})

const kinds = (p: Parameters<{ at: Date, texts: string[] }>) => [
  textOf<string>('"it\'s" {} \\ \n 💚').as('text'), textOf<string | null>(null).as('nothing'), textOf<string>('').as('empty'),
  typed<boolean>(false, 'boolean').as('no'), typed<number>(-7, 'integer').as('whole'),
  numberAs(typed<number>(1.5, 'float8'), 'fraction'), numberAs(typed<number | null>(null, 'float8'), 'none'),
  timeAs(typed<Date>(p.at, 'timestamptz'), 'at'), arrayAs(typed<string[]>(p.texts, 'text[]'), 'array'),
  wordsAs<'words', string>(textOf<string>('one two'), 'words')
] as const
const apart = statement('test_apart', (db, p: Parameters<{ at: Date, texts: string[] }>) => db.selectNoFrom(kinds(p)))
const together = statement('test_together', (db, p: Parameters<{ at: Date, texts: string[] }>) => db
  .selectNoFrom([...inOne('test', kinds(p)), textOf<string>('beside').as('other')]))

t.test('columns that are sent as one are read like columns of their own', async (t) => {
  const db = createDb(pool.dialect)
  const values = { at: new Date('2026-01-02T03:04:05.678Z'), texts: ['a "b"', ''] }
  const read = await apart.first(db, values)
  t.match(read, { text: '"it\'s" {} \\ \n 💚', nothing: null, no: false, whole: -7, fraction: 1.5, none: null, words: ['one', 'two'] })
  t.strictSame(await together.first(db, values), { ...read, other: 'beside' })
})
