import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { ConfigError } from '../core/config-error.js'

type Environment = NodeJS.ProcessEnv

/**
 * Returns a variable's value without the white space around it; empty if it is unset.
 *
 * @param mayBeInFile true if NAME_FILE may name a file with the value
 * @throws {ConfigError} if both are set, or if the file has no value
 */
export function readVariable (env: Environment, variable: string, mayBeInFile: boolean): string {
  const given = env[variable]?.trim() ?? ''
  const path = mayBeInFile ? env[`${variable}_FILE`]?.trim() ?? '' : ''
  if (path === '') return given
  if (given !== '') throw new ConfigError(`${variable}_FILE`, `not be set beside ${variable}`)
  const text = readText(path, `${variable}_FILE`).trim()
  if (text === '') throw new ConfigError(`${variable}_FILE`, 'name a file that is not empty')
  return text
}

/** @throws {ConfigError} */
function readText (path: string, variable: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError(variable, `name a file that this process may read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)
  }
}

/**
 * Adds the variables of the file `.env` in a folder to the environment. A variable that is there stays, also if it is empty or
 * if its value is in a file (NAME_FILE).
 *
 * @returns the names that were added; null if there is no such file
 * @throws {ConfigError} if it cannot be read
 */
export function addDotenv (env: Environment, folder: string): string[] | null {
  const text = readDotenv(join(folder, '.env'))
  if (text === null) return null
  const present = new Set(Object.keys(env).map(withoutFile))
  const added = Object.entries(parseEnv(text)).filter(([variable]) => !present.has(withoutFile(variable)))
  for (const [variable, value] of added) env[variable] = value
  return added.map(([variable]) => variable)
}

const withoutFile = (variable: string): string => variable.replace(/_FILE$/, '')

/** @throws {ConfigError} */
function readDotenv (path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    // A folder with that name belongs to another tool.
    if (code === 'ENOENT' || code === 'EISDIR') return null
    throw new ConfigError('.env', `be a file that this process may read (${code})`)
  }
}

export interface Misspelling { given: string, meant: string }

/**
 * Returns variables with a value whose names differ from known ones by one edit (a character added, removed, replaced, or two
 * exchanged) or by case.
 */
export function misspellings (env: Environment, known: readonly string[]): Misspelling[] {
  return Object.keys(env).filter((name) => !known.includes(name) && env[name]?.trim()).flatMap((name) => {
    const meant = known.find((one) => isOneEdit(name.toUpperCase(), one))
    return meant === undefined ? [] : [{ given: name.replace(/[^\x21-\x7e]/g, '?'), meant }]
  })
}

/** True if two names are the same or one edit apart. */
function isOneEdit (a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  const [restA, restB] = [a.slice(at), b.slice(at)]
  return restA === restB || restA.slice(1) === restB || restA === restB.slice(1) || restA.slice(1) === restB.slice(1) ||
    (restA.slice(2) === restB.slice(2) && restA[0] === restB[1] && restA[1] === restB[0])
}
