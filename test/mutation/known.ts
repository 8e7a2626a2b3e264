import { readFile } from 'node:fs/promises'
import { endOfBracket, type Condition } from './conditions.js'

/** Content of known-survivors.json. */
interface File {
  /** Conditions of what is written or answered beside the decision, by patterns of their text; each with its reason. */
  beside: Array<{ pattern: string, reason: string }>
  /** The same, by the beginnings of the brackets that they stand in. */
  within: Array<{ begins: string, reason: string }>
  /** Conditions whose removal no test notices, with the reason. `statement` is a part of the statement's text. */
  survivors: Array<{ statement: string, condition: string, reason: string }>
}

/** What is known of conditions that no test notices. */
export interface Known {
  isBeside (sql: string, condition: Condition): boolean
  /** Reason why nothing depends on the condition; undefined if there is none. */
  reasonOf (sql: string, condition: string): string | undefined
}

/** Returns a text without the numbers of its parameters, which move with each change of a statement. */
const plain = (text: string): string => text.replaceAll(/\s+/g, ' ').replaceAll(/\$\d+/g, '$')

/** Returns the places of the brackets whose text begins so. */
function bracketsThatBegin (sql: string, begins: string): Array<[begin: number, end: number]> {
  const found: Array<[number, number]> = []
  for (let at = sql.indexOf(begins); at !== -1; at = sql.indexOf(begins, at + 1)) found.push([at, endOfBracket(sql, at)])
  return found
}

export function knownOf ({ beside, within, survivors }: File): Known {
  const patterns = beside.map(({ pattern }) => new RegExp(pattern))
  return {
    isBeside: (sql, { from, text }) => patterns.some((pattern) => pattern.test(plain(text))) ||
      within.some(({ begins }) => bracketsThatBegin(sql, begins).some(([begin, end]) => begin < from && from < end)),
    reasonOf: (sql, condition) => survivors
      .find((one) => plain(sql).includes(one.statement) && plain(condition).startsWith(one.condition))?.reason
  }
}

export async function readKnown (): Promise<Known> {
  return knownOf(JSON.parse(await readFile('test/mutation/known-survivors.json', 'utf8')) as File)
}
