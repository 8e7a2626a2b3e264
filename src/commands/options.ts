import { newName } from '../core/normal-forms.js'
import { EMAIL, LINE, longest } from '../core/texts.js'
import { MisuseError } from './io.js'

const line = new RegExp(LINE, 'u')
const email = new RegExp(EMAIL, 'u')

/**
 * Checks an option's text with the limits of the same field over HTTP.
 *
 * @throws {MisuseError} that names the option
 */
export function lineOption (option: string, text: string, field: keyof typeof longest): string {
  if (!line.test(text) || [...text].length > longest[field]) {
    throw new MisuseError(`${option} must be one line of at most ${longest[field]} characters.`)
  }
  return text
}

/**
 * Returns a person's name in normal form, or an empty text.
 *
 * @throws {MisuseError} that names the option
 */
export function nameOption (option: string, text: string, field: 'firstName' | 'lastName'): string {
  if (text.trim() === '') return ''
  const name = newName(text, longest[field])
  if (name === null) throw new MisuseError(`${option} must be one line of at most ${longest[field]} characters that can be seen.`)
  return name
}

/**
 * Checks an e-mail address, which may be empty.
 *
 * @throws {MisuseError}
 */
export function emailOption (text: string): string {
  if (text !== '' && (!email.test(text) || [...text].length > longest.email)) throw new MisuseError('--email must be an e-mail address.')
  return text
}

/**
 * Checks a reason, which the user reads in the log of the account.
 *
 * @throws {MisuseError}
 */
export function reasonOption (text: string): string {
  if (text.trim() === '') throw new MisuseError('--reason must say something: the user reads it in their own log.')
  return lineOption('--reason', text, 'reason')
}

/**
 * Returns a whole number from 1 to `most`.
 *
 * @throws {MisuseError} that names the option
 */
export function countOption (option: string, text: string, most: number): number {
  if (!/^[1-9]\d{0,9}$/.test(text) || Number(text) > most) throw new MisuseError(`${option} must be a whole number from 1 to ${most}.`)
  return Number(text)
}
