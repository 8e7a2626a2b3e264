#!/usr/bin/env bash
# Fact: ajv-formats lets "urn:uuid:550e8400-..." pass as format uuid, which PostgreSQL does not take as a uuid ("invalid input syntax").
#   The other way round, PostgreSQL takes the forms with braces and without hyphens, which the format refuses.
# Version: ajv-formats 3.0.1 on ajv 8.20.0 (the pair in Fastify 5), PostgreSQL as PGlite 0.5.17.
# One would have guessed: a string that passed format uuid goes into a column of type uuid. RFC 9562 has the urn form apart.
# Why it matters: behind a schema with format uuid, a session or device id in that form is no "400, invalid", but an error of the
#   database: a 500, an alarm, and in a transaction the loss of the work before it. A pattern beside the format helps.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact ajv@8.20.0 ajv-formats@3.0.1 @electric-sql/pglite@0.5.17
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { PGlite } from '@electric-sql/pglite'
import Ajv from 'ajv'
import addFormats from 'ajv-formats'

const validate = addFormats(new Ajv()).compile({ type: 'string', format: 'uuid' })
const database = new PGlite()
const id = '550e8400-e29b-41d4-a716-446655440000'
const seen = {}
for (const text of [id, id.toUpperCase(), `urn:uuid:${id}`, `{${id}}`, id.replaceAll('-', '')]) {
  seen[text] = {
    format: validate(text),
    postgres: await database.query('select $1::text::uuid as id', [text]).then(({ rows }) => rows[0].id, error => error.code)
  }
}
console.log(seen)
assert.deepEqual(seen, {
  [id]: { format: true, postgres: id },
  [id.toUpperCase()]: { format: true, postgres: id },
  [`urn:uuid:${id}`]: { format: true, postgres: '22P02' },
  [`{${id}}`]: { format: false, postgres: id },
  [id.replaceAll('-', '')]: { format: false, postgres: id }
})
await database.close()
JS
node probe.mjs
