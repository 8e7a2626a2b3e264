/** Public types of the elements. They name no library, so that a host needs none to compile. */
import type { OtpMethod, RefusalCode } from '../../src/core/refusals.js'

export type { OtpMethod, RefusalCode }

/**
 * Adds a credential to a request, or does nothing where a cookie is enough. May return another request, to set its credentials mode.
 *
 * @param isRetry true if the request was answered `TOKEN_INVALID` with the credential before: get a new one, if there is a way
 */
export type Authorize = (request: Request, isRetry: boolean) => Request | void | Promise<Request | void>

/** Answer of an operation after which the session has another id: the tokens of the service, or the answer of a host's `complete`. */
export type SessionAnswer = Readonly<Record<string, unknown>>

/** Attributes and properties that every element has. */
export interface CountersignElement extends HTMLElement {
  /** Path or address of the routes of the second factor. @default '/totp' */
  base: string
  /** Path or address of the account's routes, which only the service has; without it nothing of the account is shown. */
  account: string | null
  /** Language tag, such as `de` or `pt-BR`. @default that of the nearest element with `lang`, then that of the browser */
  lang: string
  /** Texts that replace those of the language. */
  messages: Readonly<Partial<Record<string, string>>> | undefined
  /** Adds your credential to each request of the element. Without it a request has the cookies of its own origin alone. */
  authorize: Authorize | undefined
  /** Proves the password again, for users without a second factor. Rejects if it is wrong. Without it they are asked to sign in again. */
  askPassword: ((password: string) => Promise<void>) | undefined
}

/** `<cs-enroll>`: sets up an authenticator app or a passkey. Fires `cs-enrolled`, or `cs-cancelled`. */
export interface CsEnrollElement extends CountersignElement {
  /** Kinds that are offered, separated by spaces. @default 'totp passkey' */
  kinds: string
}

/** `<cs-challenge>`: verifies the session. Fires `cs-verified`. */
export interface CsChallengeElement extends CountersignElement {
  /** Methods that are offered, as `otpMethods` of an answer. @default those of the status */
  methods: readonly OtpMethod[] | undefined
  /** Time at which the session ends unless it is verified, as `otpExpiresAt` of an answer. */
  expiresAt: string | null
  /** Gives the session more time and returns its new end. Without it, no button offers that. */
  extend: (() => Promise<string | null>) | undefined
}

/** `<cs-security>`: everything that people manage by themselves. */
export interface CsSecurityElement extends CountersignElement {
  /** Kinds that are offered, separated by spaces. @default 'totp passkey' */
  kinds: string
  /** True if the service sends mails. */
  mail: boolean
}

/** Events of the elements. All of them bubble, out of shadow roots too. */
export interface CountersignEvents {
  /** The session has another id: store the answer, at once, before the listener returns. */
  'cs-session': CustomEvent<{ answer: SessionAnswer }>
  /** The session has given a proof. */
  'cs-verified': CustomEvent<{ method: OtpMethod }>
  /** A device was confirmed. */
  'cs-enrolled': CustomEvent<{ kind: 'totp' | 'passkey' }>
  /** The user left the set-up before a device was confirmed. */
  'cs-cancelled': CustomEvent<null>
  /** A factor was removed, or all of them. */
  'cs-removed': CustomEvent<null>
  /** The session has ended: ask the user to sign in. */
  'cs-ended': CustomEvent<{ code: RefusalCode }>
}

declare global {
  interface HTMLElementTagNameMap {
    'cs-enroll': CsEnrollElement
    'cs-challenge': CsChallengeElement
    'cs-security': CsSecurityElement
    'cs-factors': CountersignElement & { kinds: string }
    'cs-sessions': CountersignElement
    'cs-log': CountersignElement
    'cs-password': CountersignElement
    'cs-email': CountersignElement & { mail: boolean }
  }
  interface HTMLElementEventMap extends CountersignEvents {}
}
