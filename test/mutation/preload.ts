/**
 * Part of a worker (worker.ts) that must come before the service: records the statements that a test sends, and sends one of them with
 * another text. It works on the text that the driver sends, so it knows no file of the sources.
 */
import { changeStatements } from './statements.js'

/** Statement, and what is sent in its place. */
export interface Mutant { from: string, to: string }

/** Statements of migrations, and those that tests send themselves, decide nothing. */
const DECIDES = /\$1\b/

let mutant: Mutant | null = null
/** Tests of a file that run now. */
export const running = new Set<string>()
/** Statements, each with the tests that sent it; an empty name for the file outside of its tests. */
let senders = new Map<string, Set<string>>()

changeStatements((text) => {
  if (DECIDES.test(text)) {
    const tests = senders.get(text) ?? new Set()
    for (const name of running.size === 0 ? [''] : running) tests.add(name)
    senders.set(text, tests)
  }
  return text === mutant?.from ? mutant.to : text
})

export function plant (next: Mutant | null): void {
  mutant = next
}

/** Returns the senders since the last call. */
export function takeSenders (): Array<[text: string, tests: string[]]> {
  const found = [...senders].map(([text, tests]): [string, string[]] => [text, [...tests]])
  senders = new Map()
  return found
}
