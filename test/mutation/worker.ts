/**
 * Process that runs test files again and again, each time with another mutant. It is the worker of `npm test`, with a `test` that leaves
 * out the tests of a file which do not send the changed statement, and all that follow a failed one.
 */
import { plant, running, takeSenders, type Mutant } from './preload.js'
import '../helpers/worker.js'
import t, { type Test } from 'tap'

/** Next run of a file. */
export interface Run {
  mutant: Mutant | null
  /** Tests of the file to run; null for all. */
  tests: string[] | null
  /** Pattern of the names of the only tests that may run. */
  pattern: string
}

/** Statements that the last run sent. */
export interface Sent { senders: Array<[text: string, tests: string[]]> }

type Body = (t: Test) => unknown
type Define = (name: string, ...rest: unknown[]) => unknown

let tests: Set<string> | null = null
let pattern = /(?:)/
let hasFailed = false

process.on('message', (message: unknown) => {
  if (typeof message === 'string') return
  if ('takesSenders' in (message as object)) {
    const sent: Sent = { senders: takeSenders() }
    process.send!(sent)
    return
  }
  const run = message as Run
  plant(run.mutant)
  tests = run.tests === null ? null : new Set(run.tests)
  pattern = new RegExp(run.pattern)
  hasFailed = false
})

const defined = Object.getOwnPropertyDescriptor(t, 'test')!
Object.defineProperty(t, 'test', {
  configurable: true,
  get () {
    const define = defined.get!.call(t) as Define
    return (name: string, ...rest: unknown[]) => {
      const body = rest.at(-1)
      return typeof body === 'function' ? define(name, ...rest.slice(0, -1), chosen(name, body as Body)) : define(name, ...rest)
    }
  },
  set () {}
})

function chosen (name: string, body: Body): Body {
  return async (t) => {
    if (hasFailed || tests?.has(name) === false || !pattern.test(name)) return
    running.add(name)
    try {
      await body(t)
      hasFailed ||= !t.passing()
    } catch (error) {
      hasFailed = true
      throw error
    } finally {
      running.delete(name)
    }
  }
}
