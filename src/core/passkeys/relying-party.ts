import type { RelyingParty, UserVerification } from './webauthn.js'

/** Origin of a native app: the digest of the certificate that signed it. */
const NATIVE = /^android:apk-key-hash:[A-Za-z0-9_-]{43}$/
const IP_ADDRESS = /^(\[.*\]|[0-9.]+)$/

/**
 * True for an origin at which browsers allow passkeys, exactly as they write it: https, or http at localhost; a name, since an
 * address is no domain.
 */
export function isPasskeyOrigin (text: string): boolean {
  if (NATIVE.test(text)) return true
  if (!URL.canParse(text)) return false
  const { origin, protocol, hostname } = new URL(text)
  if (origin !== text || IP_ADDRESS.test(hostname)) return false
  return protocol === 'https:' || (protocol === 'http:' && (hostname === 'localhost' || hostname.endsWith('.localhost')))
}

/** True if pages of an origin may use the RP id: it is their host or a parent domain of it (WebAuthn L3 §5.1.3). */
export function isRpIdOf (rpId: string, origin: string): boolean {
  if (NATIVE.test(origin)) return false
  const { hostname } = new URL(origin)
  return hostname === rpId || (hostname.endsWith(`.${rpId}`) && rpId !== 'localhost')
}

export interface RelyingPartySettings {
  /** The first one is a page's. */
  origins: readonly string[]
  /** @default the host of the first origin */
  rpId?: string | undefined
  rpName: string
  userVerification?: UserVerification
}

/**
 * Returns the relying party of checked settings; undefined without an origin. Its parts come from settings alone: a request's
 * Host could be an attacker's.
 */
export function relyingPartyOf ({ origins, rpId, rpName, userVerification = 'preferred' }: RelyingPartySettings): RelyingParty | undefined {
  const page = origins.find((origin) => !NATIVE.test(origin))
  if (page === undefined) return undefined
  return { rpId: rpId ?? new URL(page).hostname, rpName, origins, userVerification }
}
