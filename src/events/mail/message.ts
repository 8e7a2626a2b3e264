import { createHash, randomBytes } from 'node:crypto'
import { shownAgent } from '../../core/agents.js'
import { languageOf, renderMessage, renderNotice, type Language, type MessageKind, type Notice } from '../../core/notices/index.js'
import type { Seal } from '../../core/keys/seal.js'
import type { ClaimedMail } from './claims.js'

/** What a delivery holds of a message without an event: sealed, since a token opens an account. */
export interface LinkPayload { kind: MessageKind, token: string }

/** 43 characters of base64url. */
const TOKEN_BYTES = 32

/** Makes the token of a link, and the digest by which it is found. */
export function newLinkToken (): { token: string, digest: Buffer } {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  return { token, digest: linkDigest(token) }
}

/** Returns the digest that is stored for a token. 256 random bits need no key. */
export const linkDigest = (token: string): Buffer => createHash('sha256').update(token).digest()

const placeOf = (deliveryId: string, userId: string) => ({ table: 'otp_delivery', row: deliveryId, userId })

/** Seals the payload of a delivery. */
export const sealPayload = (seal: Seal, payload: LinkPayload, deliveryId: string, userId: string): string =>
  seal.seal(Buffer.from(JSON.stringify(payload)), placeOf(deliveryId, userId))

/** @throws if the keys of this process do not open it */
export const openPayload = (seal: Seal, { payload, deliveryId, userId }: ClaimedMail & { payload: string }): LinkPayload =>
  JSON.parse(seal.open(payload, placeOf(deliveryId, userId)).plain.toString()) as LinkPayload

export interface MessageSettings {
  /** Name of the service. */
  issuer: string
  /** Base of links: scheme, host and path, without a slash at the end. */
  publicUrl: string
  /** Paths of the pages that links lead to. */
  paths: Readonly<Record<Exclude<MessageKind, 'reset_password_staff'>, string>>
}

/** Returns the address of a page with a token in its fragment, which browsers send to no server. */
export const linkTo = ({ publicUrl, paths }: MessageSettings, kind: keyof MessageSettings['paths'], token: string): string =>
  `${publicUrl}${paths[kind]}#token=${token}`

const addressee = ({ username, firstName, locale }: ClaimedMail): { name: string, language: Language } => ({
  name: firstName || username!,
  language: locale === null ? 'en' : languageOf(locale) ?? 'en'
})

export function linkMessage (settings: MessageSettings, mail: ClaimedMail, { kind, token }: LinkPayload): Notice {
  const { issuer } = settings
  const link = kind === 'reset_password_staff' ? {} : { link: linkTo(settings, kind, token) }
  return renderMessage(kind, { ...addressee(mail), issuer, username: mail.username!, ...link })
}

/** @param more events of this kind without a message since the last one */
export function noticeMessage ({ issuer }: MessageSettings, mail: ClaimedMail, more: number): Notice | null {
  const { kind, at, ip, agent, deviceName, recoveryCodesLeft } = mail
  return renderNotice({ kind: kind!, at: at!, ip: ip!, agent: shownAgent(agent!), deviceName }, {
    ...addressee(mail), issuer, more, ...(kind === 'recovery_used' ? { recoveryCodesLeft } : {})
  })
}
