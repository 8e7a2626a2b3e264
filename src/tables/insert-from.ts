import type { Expression, ExpressionBuilder, Insertable, InsertQueryBuilder, InsertResult, QueryCreator, SelectQueryBuilder } from 'kysely'
import type { Tables } from './db.js'

/** Builder of expressions over the relations of a select. */
export type BuilderOf<Rows> = Rows extends SelectQueryBuilder<infer Relations, infer From, any> ? ExpressionBuilder<Relations, From> : never

/** An expression for each column: those without a default must be there. */
type Values<Row> = { [Column in keyof Row]: Expression<Exclude<Row[Column], undefined>> }

/**
 * Inserts a row for each row of a select. The builder's own `columns` and `expression` compare no types.
 *
 * @param from relations and their condition, without columns
 * @param values each column of the new row, as an expression over those relations
 */
export function insertFrom<With, Table extends keyof Tables & string, Rows extends SelectQueryBuilder<any, any, object>> (
  db: QueryCreator<With>, table: Table, from: (db: QueryCreator<With>) => Rows,
  values: (eb: BuilderOf<Rows>) => Values<Insertable<Tables[Table]>>
): InsertQueryBuilder<Tables, Table, InsertResult> {
  let columns: string[] = []
  const rows = from(db).select((eb) => {
    const row = values(eb as BuilderOf<Rows>) as Record<string, Expression<unknown>>
    columns = Object.keys(row)
    return columns.map((column) => eb.parens(row[column]!).as(column))
  })
  return (db as unknown as QueryCreator<Tables>).insertInto(table).columns(columns as never).expression(rows as Expression<unknown>)
}
