import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Part of a model's runs that is searched on its own. */
export interface Configuration {
  name: string
  defines: readonly string[]
  /** True if each `npm test` searches it; the others take longer. */
  isShort?: true
}

export interface Model {
  file: string
  /** Searched completely by the test, all of them with `--all`. */
  configurations: readonly Configuration[]
  /** Searched by `npm run model` alone, since it takes longer. */
  large: readonly Configuration[]
  /** Part in which the model without a rule is searched first; the first one if the rule is not here. */
  sought?: Readonly<Record<string, string>>
}

export const models: readonly Model[] = [
  {
    file: 'model/liveness.pml',
    configurations: [
      { name: 'one server, with Redis', defines: ['FAILOVER=0', 'OTHER=0'] },
      { name: 'one server, open transactions', defines: ['FAILOVER=0', 'REDIS=0'], isShort: true },
      { name: 'failover, without Redis', defines: ['REDIS=0', 'OTHER=0'] },
      { name: 'shared readings, one server', defines: ['SHARE=2', 'FAILOVER=0', 'REDIS=0', 'OTHER=0'], isShort: true },
      { name: 'shared readings, open transactions', defines: ['SHARE=1', 'FAILOVER=0', 'REDIS=0'] },
      { name: 'shared readings, failover', defines: ['SHARE=1', 'REDIS=0', 'OTHER=0'] }
    ],
    large: [
      { name: 'failover, with Redis', defines: ['OTHER=0'] },
      { name: 'one server, with Redis and open transactions', defines: ['FAILOVER=0'] }
    ],
    sought: {
      'a reading names the ids that were open at the last one': 'one server, open transactions',
      'a reading from a server without writes is not used': 'failover, without Redis',
      'another server is a gap': 'failover, without Redis',
      "a changed setting of writes replaces the poller's connection": 'failover, without Redis',
      'a reading that finds another setting of writes does not count as fresh': 'failover, without Redis',
      'an entry of another server counts as none': 'failover, with Redis',
      'a reading that finds another setting of writes is not shared': 'shared readings, failover',
      'the reader collects the announcements before it reads': 'shared readings, one server',
      'a shared reading without a MAC counts as none': 'shared readings, one server',
      'a shared reading of another server counts as none': 'shared readings, failover',
      'a shared reading that does not name all ends counts as none': 'shared readings, one server',
      'a shared reading begins where the own knowledge ends': 'shared readings, one server',
      'a shared reading answers an announcement whose mark it has': 'shared readings, one server',
      'freshness counts from before the announcement': 'shared readings, one server',
      'a mark cannot be known before it is announced': 'shared readings, one server',
      'requests do not share a question over a replaced connection': 'failover, without Redis',
      'an answer from a server without writes is not used': 'failover, without Redis'
    }
  },
  { file: 'model/single-use.pml', configurations: [{ name: 'all', defines: [], isShort: true }], large: [] },
  { file: 'model/refresh.pml', configurations: [{ name: 'all', defines: [], isShort: true }], large: [] }
]

/** Line of a model that states a rule. */
export interface Rule { name: string, line: number }

const RULE = /\/\* rule: (.+?) \*\/$/

/** Returns the rules of a model, in the order of its lines. */
export function rulesOf (text: string): Rule[] {
  return text.split('\n').flatMap((line, at) => {
    const name = RULE.exec(line)?.[1]
    return name === undefined || name === '...' ? [] : [{ name, line: at }]
  })
}

/** Returns the model without the line of a rule. */
export function without (text: string, { line }: Rule): string {
  return text.split('\n').map((kept, at) => at === line ? '' : kept).join('\n')
}

export interface Search {
  /** True if the search reached every state and found no violation. */
  holds: boolean
  /** Violated assertion; null if there is none. */
  violation: string | null
  states: number
  seconds: number
}

/** Deeper than any run of the models: a search that is cut off there is no proof, and `search` throws. */
const DEPTH = 2_000_000

/**
 * Searches all runs of a model. The exit status of Spin's verifier is 0 on a violation and on a search that was cut off, so
 * its output decides.
 *
 * @throws if the model does not compile, or the search was not complete
 */
export async function search (text: string, { defines }: Configuration): Promise<Search> {
  return await inFolder(text, async (cwd) => {
    await verifier(cwd, defines)
    const startedAtMs = performance.now()
    const { stdout } = await execute('./pan', [`-m${DEPTH}`, '-w23'], { cwd, maxBuffer: 1 << 26 })
    const seconds = (performance.now() - startedAtMs) / 1000
    const violation = /assertion violated (.*)/.exec(stdout)?.[1] ?? null
    const states = Number(/(\S+) states, stored/.exec(stdout)?.[1] ?? 0)
    const isCutOff = /max search depth too small|Search not completed/.test(stdout)
    const holds = /errors: 0\b/.test(stdout)
    if (holds ? isCutOff || states === 0 : violation === null) throw new Error(`The search is not complete: ${stdout}`)
    return { holds, violation, states, seconds }
  })
}

const flags = (defines: readonly string[]): string[] => defines.map((define) => `-D${define}`)

/** Makes the program that searches the model. */
async function verifier (cwd: string, defines: readonly string[], ...more: string[]): Promise<void> {
  await execute('spin', ['-a', ...flags(defines), 'model.pml'], { cwd })
  await execute('gcc', ['-O1', '-w', '-DSAFETY', '-DMEMLIM=4000', ...more, '-o', 'pan', 'pan.c'], { cwd })
}

/** Rules whose violating runs are replayed: the one of this name, since each search costs a second of CPU; all with MODEL_REPLAY=all. */
export const replayed = (rules: readonly Rule[], usual: string): readonly Rule[] =>
  process.env['MODEL_REPLAY'] === 'all' ? rules : rules.filter(({ name }) => name === usual)

/** A step of a run: what happened, and its numbers. */
export interface Step { what: string, of: number[] }

/** Steps that a simulation prints: lines that begin with `@`. */
function stepsOf (printed: string): Step[] {
  const lines = printed.split('\n').map((line) => line.trim()).filter((line) => line.startsWith('@ '))
  return lines.map((line) => {
    const [what = '', ...of] = line.slice(2).split(' ')
    return { what, of: of.map(Number) }
  })
}

async function inFolder<T> (text: string, work: (cwd: string) => Promise<T>): Promise<T> {
  const cwd = await mkdtemp(join(tmpdir(), 'countersign-model-'))
  try {
    await writeFile(join(cwd, 'model.pml'), text)
    return await work(cwd)
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
}

/** Longest simulation of a model without an end. */
const MOST_STEPS = 300

/** One run of a model by chance; the same seed makes the same run. */
export async function simulate (text: string, seed: number, defines: readonly string[] = [], most = MOST_STEPS): Promise<Step[]> {
  return await inFolder(text, async (cwd) => {
    const { stdout } = await execute('spin', ['-T', '-B', `-n${seed}`, `-u${most}`, ...flags(defines), 'model.pml'], { cwd })
    return stepsOf(stdout)
  })
}

/** The shortest run in which a model violates a property; null if there is none. The step that violates it is the last one. */
export async function violatingRun (text: string, defines: readonly string[] = []): Promise<Step[] | null> {
  return await inFolder(text, async (cwd) => {
    await verifier(cwd, defines, '-DBFS')
    await execute('./pan', [`-m${DEPTH}`, '-w23'], { cwd, maxBuffer: 1 << 26 })
    // Fails if there is no trail, and after a trail that ends in a violation.
    const { stdout } = await execute('spin', ['-t', '-T', ...flags(defines), 'model.pml'], { cwd })
      .catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }))
    const steps = stepsOf(stdout)
    return steps.length === 0 ? null : steps
  })
}

/** Returns a violation that the model without this rule has; null if there is none. */
export async function counterexample ({ file, configurations, large, sought = {} }: Model, rule: Rule): Promise<Search | null> {
  const text = without(await readFile(file, 'utf8'), rule)
  const isFirst = ({ name }: Configuration): boolean => name === sought[rule.name]
  const inOrder = [...configurations, ...large].sort((a, b) => Number(isFirst(b)) - Number(isFirst(a)))
  for (const configuration of inOrder) {
    const found = await search(text, configuration)
    if (!found.holds) return found
  }
  return null
}
