import { sql, type AliasedRawBuilder } from 'kysely'

type SqlType = 'text' | 'text[]' | 'uuid' | 'integer' | 'bigint' | 'boolean' | 'timestamptz'

/** Names and types of the columns of a recordset. */
export type RecordTypes<Row> = { readonly [Name in keyof Row]-?: SqlType }

/**
 * Relation `r` of many rows, passed as one parameter: a batch of any size is one statement that is prepared once.
 *
 * @param json JSON of an array of `Row`
 */
export function recordset<Row extends object> (json: string, types: RecordTypes<Row>): AliasedRawBuilder<Row, 'r'> {
  const columns = Object.entries<SqlType>(types).map(([name, type]) => sql`${sql.id(name)} ${sql.raw(type)}`)
  return sql<Row>`json_to_recordset(${json}::text::json)`.as<'r'>(sql`r(${sql.join(columns)})`)
}
