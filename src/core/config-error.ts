/** A mistake in the configuration: one line that names the variable and what it must be, never its value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly variable: string

  /** @param must the end of the sentence "VARIABLE must …", without the full stop. */
  constructor (variable: string, must: string) {
    super(`${variable} must ${must}.`)
    this.variable = variable
  }
}
