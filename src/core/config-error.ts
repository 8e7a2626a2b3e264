/** Mistake in the configuration. The message is one line with the variable and its requirement, never its value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly variable: string

  /** @param must the end of the sentence "VARIABLE must …", without the full stop. */
  constructor (variable: string, must: string) {
    super(`${variable} must ${must}.`)
    this.variable = variable
  }
}
