import { readFile } from 'node:fs/promises'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { movingSchema } from '../../../src/imports/jsonl/record.js'

const text = await readFile('moving.schema.json', 'utf8')

t.test('the schema in the package is the one of the importer', (t) => {
  t.equal(text, `${JSON.stringify(movingSchema, null, 2)}\n`, 'npm run docs')
  t.end()
})

t.test('it is a schema that other readers understand', (t) => {
  const fits = new Ajv2020({ strict: false }).compile(JSON.parse(text))
  const secret = { base32: 'GEZDGNBVGY3TQOJQ' }
  for (const record of [{ username: 'ada' }, { userId: '1', totp: [{ secret }] }, { format: 'countersign-moving', version: 1 }]) {
    t.ok(fits(record), JSON.stringify(record))
  }
  for (const record of [
    { username: 'ada', other: 1 }, { totp: [{ secret: { ...secret, hex: '00' } }] }, { totp: [{}] },
    { version: 2, format: 'countersign-moving' }, []
  ]) t.notOk(fits(record), JSON.stringify(record))
  t.end()
})
