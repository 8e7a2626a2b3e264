import { readFile } from 'node:fs/promises'

/** Content of known-survivors.json. */
interface File {
  /** Conditions of what is written or answered beside the decision, by patterns of their text; each with its reason. */
  beside: Array<{ pattern: string, reason: string }>
  /** Conditions whose removal no test notices, with the reason. `statement` is a part of the statement's text. */
  survivors: Array<{ statement: string, condition: string, reason: string }>
}

/** What is known of conditions that no test notices. */
export interface Known {
  isBeside (condition: string): boolean
  /** Reason why nothing depends on the condition; undefined if there is none. */
  reasonOf (sql: string, condition: string): string | undefined
}

/** Returns a text without the numbers of its parameters, which move with each change of a statement. */
const plain = (text: string): string => text.replaceAll(/\s+/g, ' ').replaceAll(/\$\d+/g, '$')

export function knownOf ({ beside, survivors }: File): Known {
  const patterns = beside.map(({ pattern }) => new RegExp(pattern))
  return {
    isBeside: (condition) => patterns.some((pattern) => pattern.test(plain(condition))),
    reasonOf: (sql, condition) => survivors
      .find((one) => plain(sql).includes(one.statement) && plain(condition).startsWith(one.condition))?.reason
  }
}

export async function readKnown (): Promise<Known> {
  return knownOf(JSON.parse(await readFile('test/mutation/known-survivors.json', 'utf8')) as File)
}
