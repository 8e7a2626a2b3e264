import type { Counters } from '../core/counters.js'
import type { PasswordRule } from '../core/passwords/password-rule.js'
import { createBreachedPasswords } from './breached-passwords.js'

export interface PasswordRuleSettings {
  passwordMinLength: number
  otpIssuer: string
  publicUrl?: string | undefined
  passkeyRpId?: string | undefined
  breachedPasswordsUrl?: string | undefined
}

/** Name of this product, a context word of each service. */
const PRODUCT = 'countersign'

/** Labels of a domain that many domains have. */
const COMMON_LABELS = new Set(['www', 'com', 'org', 'net', 'app', 'api', 'auth', 'login', 'localhost'])

/**
 * Returns the rule for new passwords. Its context words are the product, the issuer as a whole and in words, and the labels of the
 * service's domain. The names of a user are added for each password.
 */
export function passwordRuleOf (settings: PasswordRuleSettings, counters: Counters, report: (fault: unknown) => void): PasswordRule {
  const { passwordMinLength, otpIssuer, publicUrl, passkeyRpId, breachedPasswordsUrl: url } = settings
  const domains = [publicUrl === undefined ? '' : new URL(publicUrl).hostname, passkeyRpId ?? '']
  const labels = domains.flatMap((domain) => domain.split('.')).filter((label) => !COMMON_LABELS.has(label))
  return {
    minLength: passwordMinLength,
    words: [...new Set([PRODUCT, otpIssuer, ...otpIssuer.split(/\s+/), ...labels].filter((word) => word !== ''))],
    isBreached: url === undefined ? null : createBreachedPasswords({ url, counters, report })
  }
}
