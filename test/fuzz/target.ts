import type fc from 'fast-check'

/** Input of a target, in JSON: the corpus keeps it, and mutations know its form. */
export type Input = string | number | boolean | null | Input[] | { [name: string]: Input }

/** Code that reads what strangers send, with the rule that it must keep. */
export interface Target<Kind extends Input = Input> {
  /** Compiled files whose coverage guides the search, from `build/`: `src/core/totp/totp.js`. */
  files: readonly string[]
  /** Letters and words of the grammar, which mutations insert. */
  words: readonly string[]
  arbitrary: fc.Arbitrary<Kind>
  /** CPU time that an input may take, in milliseconds. @default 50 */
  mostMs?: number
  /**
   * Reads an input. An input of another form is no fault: mutations make them.
   *
   * @throws anything, for an input that breaks the rule
   */
  check (input: Input): void | Promise<void>
  close? (): Promise<void>
}

/** Rule that an input breaks. The search reports each message once, so it must not contain the input. */
export class Fault extends Error {
  override readonly name = 'Fault'
}

/** @throws {Fault} if the condition does not hold */
export function rule (isKept: boolean, message: string): void {
  if (!isKept) throw new Fault(message)
}

/** Returns a member of an input as text; '' if it is none. */
export function textOf (input: Input, name: string): string {
  const value = memberOf(input, name)
  return typeof value === 'string' ? value : ''
}

/** Returns a member of an input as a whole number from 0 on; 0 if it is none. */
export function numberOf (input: Input, name: string): number {
  const value = memberOf(input, name)
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0
}

/** Returns a member of an input as a list of texts. */
export function textsOf (input: Input, name: string): string[] {
  const value = memberOf(input, name)
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function memberOf (input: Input, name: string): Input | undefined {
  return typeof input === 'object' && input !== null && !Array.isArray(input) && Object.hasOwn(input, name) ? input[name] : undefined
}
