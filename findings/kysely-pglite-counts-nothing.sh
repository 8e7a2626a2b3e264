#!/usr/bin/env bash
# Fact: kysely-pglite tells Kysely of no changed rows: numUpdatedRows and numDeletedRows are 0n after each update and delete that changed
#   some. And all queries of an instance share one connection without a turn: a query beside a transaction runs inside it, is answered as
#   done, and is undone by the rollback of the other.
# Version: kysely-pglite 0.6.1 with kysely 0.27.6, for which it was made, and @electric-sql/pglite 0.5.17; compared with PGliteDialect of
#   kysely 0.29.9.
# One would have guessed: as with any other dialect. PGlite itself gives affectedRows, and has transaction() with a lock.
# Why it matters: code that judges by the count ("used by another request if no row changed") refuses everybody in tests and in a desktop
#   app on it; tests of races pass or fail by chance, and rows that were written vanish.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  kysely-pglite@0.6.1 kysely@0.27.6 kysely-29@npm:kysely@0.29.9 @electric-sql/pglite@0.5.17
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, sql } from 'kysely'
import { Kysely as Kysely29, PGliteDialect } from 'kysely-29'
import { KyselyPGlite } from 'kysely-pglite'

const instances = {
  'kysely-pglite': new Kysely({ dialect: new KyselyPGlite(await PGlite.create()).dialect }),
  'PGliteDialect of kysely': new Kysely29({ dialect: new PGliteDialect({ pglite: await PGlite.create() }) })
}
const seen = {}
for (const [name, db] of Object.entries(instances)) {
  await sql`create table code (id int primary key, last_step int)`.execute(db)
  await db.insertInto('code').values({ id: 1, last_step: 0 }).execute()
  const consume = () => db.updateTable('code').set({ last_step: 5 }).where('id', '=', 1).where('last_step', '<', 5).executeTakeFirst()
  const first = await consume()
  const second = await consume()
  const { last_step: step } = await db.selectFrom('code').select('last_step').executeTakeFirstOrThrow()
  const deleted = await db.deleteFrom('code').where('id', '=', 1).executeTakeFirst()

  // The insert comes while the transaction is open, from elsewhere in the program.
  const begun = resolvers()
  const fails = db.transaction().execute(async (trx) => {
    await trx.insertInto('code').values({ id: 2, last_step: 0 }).execute()
    begun.resolve()
    await new Promise(resolve => setImmediate(resolve))
    await trx.selectFrom('code').select('id').execute()
    throw new Error('rolled back')
  })
  await begun.promise
  const beside = db.insertInto('code').values({ id: 3, last_step: 0 }).execute()
  const [{ reason }, { status }] = await Promise.allSettled([fails, beside])
  assert.equal(reason.message, 'rolled back')
  seen[name] = {
    'first update': first.numUpdatedRows,
    'second update': second.numUpdatedRows,
    'step in the table': step,
    delete: deleted.numDeletedRows,
    'insert beside the transaction': status,
    'rows after both': (await db.selectFrom('code').select('id').execute()).map(({ id }) => id).join()
  }
  await db.destroy()
}
function resolvers () {
  const own = {}
  own.promise = new Promise(resolve => { own.resolve = resolve })
  return own
}
console.log(seen)
assert.deepEqual(seen, {
  'kysely-pglite': {
    'first update': 0n,
    'second update': 0n,
    'step in the table': 5,
    delete: 0n,
    'insert beside the transaction': 'fulfilled',
    'rows after both': ''
  },
  'PGliteDialect of kysely': {
    'first update': 1n,
    'second update': 0n,
    'step in the table': 5,
    delete: 1n,
    'insert beside the transaction': 'fulfilled',
    'rows after both': '3'
  }
})
process.exit()
JS
node probe.mjs
