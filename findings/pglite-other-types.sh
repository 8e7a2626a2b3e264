#!/usr/bin/env bash
# Fact: PGlite gives an int8 as a number (a bigint above 2^53) and bytea as a Uint8Array, and turns an array that is a parameter of a jsonb
#   column into JSON; pg gives text and a Buffer, and sends the array as an array of PostgreSQL, which jsonb refuses.
# Version: @electric-sql/pglite 0.5.17 against the parsers and serialisers of pg 8.23.1.
# One would have guessed: the same values in JavaScript, as PGlite is PostgreSQL itself and is made to stand in for it in tests.
# Why it matters: code is proved on PGlite and then runs on pg: `failures + 1` is '31' there after three, so a limit of ten wrong codes is
#   passed early; `secret.toString('hex')` works there alone and gives "49,50" on PGlite. Tests of such code need the real driver.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact @electric-sql/pglite@0.5.17 pg@8.23.1
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import pgUtils from 'pg/lib/utils.js'

const database = new PGlite()
/** The one value of a statement: as PGlite gives it, and as pg reads the same text of the server. */
async function both (expression) {
  const { rows: [{ value }], fields: [{ dataTypeID }] } = await database.query(`select ${expression} as value`)
  const { rows: [{ text }] } = await database.query(`select (${expression})::text as text`)
  return { pglite: value, pg: pg.types.getTypeParser(dataTypeID)(text) }
}
/** What becomes of a parameter for a jsonb column. */
const asJsonb = async (sql, parameter) => database.query(sql, [parameter]).then(({ rows }) => rows[0].value, error => error.code)

const failures = await both('3::bigint')
const secret = await both("'\\x3132'::bytea")
const methods = ['otp', 'pwd']
const seen = {
  'failures + 1': [failures.pglite + 1, failures.pg + 1],
  "secret.toString('hex')": [secret.pglite.toString('hex'), secret.pg.toString('hex')],
  'count(*) === 1': [(await both('count(*)')).pglite === 1, (await both('count(*)')).pg === 1],
  'bigint above 2^53': [typeof (await both('9007199254740993::bigint')).pglite, typeof (await both('9007199254740993::bigint')).pg],
  'array for jsonb': [
    await asJsonb('select $1::jsonb as value', methods),
    await asJsonb('select $1::text::jsonb as value', pgUtils.prepareValue(methods))
  ]
}
await database.close()
console.log('[PGlite, pg]')
console.log(seen)
assert.deepEqual(seen, {
  'failures + 1': [4, '31'],
  "secret.toString('hex')": ['49,50', '3132'],
  'count(*) === 1': [true, false],
  'bigint above 2^53': ['bigint', 'string'],
  'array for jsonb': [['otp', 'pwd'], '22P02']
})
JS
node probe.mjs
