import pg from 'pg'
import t from 'tap'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { hostOn, livesAtHost } from '../helpers/settings-host.js'

await need('postgres')

/** `types.setTypeParser` is global in the process, so a host's parsers also applied to our statements. */
const { TIMESTAMPTZ, TIMESTAMP, DATE, INT8, NUMERIC, JSON, JSONB } = pg.types.builtins
const TEXT_ARRAY = 1009
for (const type of [TIMESTAMPTZ, TIMESTAMP, DATE, NUMERIC, JSON, JSONB, TEXT_ARRAY]) {
  pg.types.setTypeParser(type, (text) => `as it is: ${text}`)
}
pg.types.setTypeParser(INT8, BigInt)

for (const kind of ['pool', 'kysely'] as const) {
  t.test(`a host's ${kind} with type parsers of its own`, async (t) => {
    const db = await freshDatabase(t)
    await livesAtHost(t, await hostOn(t, kind, db.url), db.clock)
  })
}
