import { PostgresDialect, type PostgresPool } from 'kysely'
import t from 'tap'
import { createDb } from '../../src/tables/db.js'
import { statements } from '../../src/tables/statement.js'
import { need } from '../helpers/need.js'
import { lineOf } from './history.js'
import { play } from './play.js'
import { plants } from './plants.js'
import { specificationsFor } from './specifications/index.js'
import { databasesOn } from './stage/databases.js'

const server = await need('postgres')
await need('redis-server')

const SEED = 22
const CALLS = 250
/** Only a very busy machine needs so long. */
const MOST_SECONDS = 150
t.setTimeout(3 * MOST_SECONDS * 1000)

t.test('a short history under faults violates no property; npm run histories is the long one', async (t) => {
  const { recorder: { history }, violations, faults, failures } = await play({
    seconds: MOST_SECONDS,
    calls: CALLS,
    seed: SEED,
    databases: async (owner) => await databasesOn(owner, server),
    people: { service: 2, host: 1 },
    hasClock: false
  })
  t.same(violations.map(({ object, calls }) => [object, ...calls.map(lineOf)]), [])
  t.same(failures, [])
  t.ok(history.some(({ kind, result }) => kind === 'code' && result === 'ok'), 'a code was accepted')
  t.comment(`${history.length} calls, ${JSON.stringify(faults)}`)
})

t.test('there is a planted bug for each property', async (t) => {
  const properties = specificationsFor([]).map(({ name }) => name)
  t.same(Object.values(plants).map(({ violates }) => violates).sort(), [...properties].sort())
})

t.test('each part of a statement that a planted bug changes is there', async (t) => {
  await import('../../src/app.js')
  const db = createDb(new PostgresDialect({ pool: {} as PostgresPool }), { hasAccounts: true })
  const texts = Array.from(statements.values(), (statement) => statement.compile(db).sql)
  for (const [name, { changes }] of Object.entries(plants)) {
    for (const [part] of changes) t.ok(texts.some((text) => text.search(part) !== -1), `${name}: ${String(part)}`)
  }
})
