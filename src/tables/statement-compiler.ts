import { createQueryId, PostgresQueryCompiler, type CompiledQuery, type RootOperationNode } from 'kysely'
import type { Db } from './db.js'

/** Stands for a value in a compiled statement. */
export class Placeholder {
  readonly read: (db: Db, values: Readonly<Record<string, unknown>>) => unknown
  constructor (read: Placeholder['read']) { this.read = read }
}

/**
 * Compiles a statement that is executed many times. A placeholder is one parameter, however often the statement names it, and a
 * constant is part of the text: each parameter is sent, parsed and bound at each execution.
 */
class StatementCompiler extends PostgresQueryCompiler {
  readonly #numbers = new Map<unknown, number>()

  protected override appendValue (value: unknown): void {
    if (!(value instanceof Placeholder)) {
      this.appendImmediateValue(Array.isArray(value) ? arrayLiteral(value) : value === Infinity ? 'Infinity' : value)
      return
    }
    const number = this.#numbers.get(value)
    if (number === undefined) {
      super.appendValue(value)
      this.#numbers.set(value, this.numParameters)
    } else {
      this.append(`$${number}`)
    }
  }
}

/** Text of an array of texts, as PostgreSQL reads it. */
const arrayLiteral = (texts: readonly string[]): string => `{${texts.map((text) => JSON.stringify(text)).join(',')}}`

export const compileStatement = (node: RootOperationNode): CompiledQuery =>
  new StatementCompiler().compileQuery(node, createQueryId())
