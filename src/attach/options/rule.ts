/** Check and default of one option. */
export interface Rule<Value> {
  /** Ends the sentence `countersign: "option" must …`. */
  must: string
  holds (value: unknown): boolean
  isRequired?: true
  /** Value of an option that is not given. The `@default` of the option says the same. */
  fallback?: NonNullable<Value>
}

/** A rule for every option of a group; a missing one does not compile. */
export type Rules<Options> = { readonly [Name in keyof Options]-?: Rule<Options[Name]> }

/** Options after the check: those with a fallback are set. */
export type Filled<Options, Name extends keyof Options> = Omit<Options, Name> & { [N in Name]-?: NonNullable<Options[N]> }

export const isFunction = { must: 'be a function', holds: (value: unknown) => typeof value === 'function' }
export const isBoolean = { must: 'be true or false', holds: (value: unknown) => typeof value === 'boolean' }

export const isText = (pattern: RegExp) => (value: unknown): boolean => typeof value === 'string' && pattern.test(value)
export const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

export const isWhole = (least: number, most: number) => (value: unknown): boolean =>
  Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most
export const wholeNumber = (least: number, most: number, fallback: number) =>
  ({ must: `be a whole number from ${least} to ${most}`, holds: isWhole(least, most), fallback })

export function fail (name: string, must: string): never {
  throw new TypeError(`countersign: "${name}" must ${must}`)
}

/** @throws {TypeError} if the value of an option does not follow its rule */
export function requireRule<Value> (name: string, value: Value, { must, holds }: Rule<Value>): void {
  if (!holds(value)) fail(name, must)
}

/**
 * Checks the options of a group and fills in the fallbacks. Messages name an option, never its value.
 *
 * @throws {TypeError}
 */
export function checkGroup<Options extends object> (given: Options, rules: Rules<Options>): Options {
  const filled: Partial<Options> = {}
  for (const name of Object.keys(rules) as Array<keyof Options & string>) {
    const { must, holds, isRequired, fallback } = rules[name]
    const value = given[name] ?? fallback
    if (given[name] === null) fail(name, must)
    if (value === undefined && isRequired === true) fail(name, 'be given')
    if (value === undefined) continue
    if (!holds(value)) fail(name, must)
    filled[name] = value
  }
  return filled as Options
}
