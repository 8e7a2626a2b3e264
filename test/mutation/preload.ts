/**
 * Loaded into a test's process by `--import`. Records each statement that changes rows (MUTATION_RECORD: a file; MUTATION_READS: those
 * that change none), or sends one of them with another text (MUTATION_FROM and MUTATION_TO: files). It works on the text that the
 * driver sends, so it knows no file of the sources.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { changeStatements } from './statements.js'

const { MUTATION_RECORD: record, MUTATION_FROM: from, MUTATION_TO: to, MUTATION_READS: reads } = process.env
const original = from === undefined ? undefined : readFileSync(from, 'utf8')
const replacement = to === undefined ? undefined : readFileSync(to, 'utf8')
const seen = new Set<string>()

const CHANGES = /\b(update|insert into|delete from)\b/i
/** Statements of migrations, and those that tests send themselves, decide nothing. */
const DECIDES = /\$1\b/

function changed (text: string): string {
  if (record !== undefined && !seen.has(text) && CHANGES.test(text) === (reads === undefined) && DECIDES.test(text)) {
    seen.add(text)
    appendFileSync(record, JSON.stringify(text) + '\n')
  }
  return text === original ? replacement! : text
}

changeStatements(changed)
