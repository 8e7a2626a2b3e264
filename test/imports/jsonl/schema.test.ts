import { readFile } from 'node:fs/promises'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { movingSchema, readPerson } from '../../../src/imports/jsonl/record.js'

const text = await readFile('moving.schema.json', 'utf8')

t.test('the schema in the package is the one of the importer', (t) => {
  t.equal(text, `${JSON.stringify(movingSchema, null, 2)}\n`, 'npm run docs')
  t.end()
})

/** A device with a time that does not exist was confirmed at the time of the import. */
const noTimes = [
  '2026-13-01T00:00:00Z', '2026-00-01T00:00:00Z', '2026-01-32T00:00:00Z', '2026-01-01T24:00:00Z', '2026-01-01T00:60:00Z',
  '2026-01-01T00:00:61Z', '2026-01-01T00:00:00+24:00', '2026-01-01T00:00:00+99:99', '0000-01-01T00:00:00Z', '2026-01-01'
]

t.test('a time that does not exist is a fault of the record', async (t) => {
  const secret = { base32: 'GEZDGNBVGY3TQOJQ' }
  const placesOf = (time: string): object[] => [
    { createdAt: time }, { totp: [{ secret, confirmedAt: time }] }, { totp: [{ secret, lastUsedAt: time }] },
    { recoveryCodes: [{ usedAt: time }] }
  ]
  for (const time of noTimes) {
    for (const place of placesOf(time)) t.match(await readPerson({ username: 'ada', ...place }, 1), { fault: /must/ }, time)
  }
  for (const time of ['2026-12-31T23:59:59.123456789+23:59', '0001-02-03T04:05:06Z', '9999-12-31T23:59:59-00:00']) {
    for (const place of placesOf(time)) {
      const person = await readPerson({ username: 'ada', ...place }, 1)
      t.notOk('fault' in person, time)
    }
  }
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
