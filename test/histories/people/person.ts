import type { SoftPasskey } from '../../../src/testing/soft-passkey.js'

/** Session of a person, as its client knows it. */
export interface Session {
  id: string
  access: string
  /** Null at a host. */
  refresh: string | null
  generation: number
  /** Refresh token before this one. */
  former: { token: string, generation: number } | null
  isVerified: boolean
  /** Its end was answered. */
  isOver: boolean
}

/** A user with a client that keeps everything. */
export interface Person {
  name: string
  email: string
  /** The address was verified, as an answer said. */
  hasMail: boolean
  isHost: boolean
  password: string
  /** Password that may have been set instead, if the answer was lost. */
  otherPassword: string | null
  userId: string
  device: { id: string, secret: Buffer } | null
  /** Recovery codes, used ones too. */
  codes: string[]
  passkey: { id: string, key: SoftPasskey } | null
  sessions: Session[]
}

/** The client does not know any more how its account stands: an answer was lost. The person gives up. */
export class Abandoned extends Error {}

export interface Claims { sub: string, sid: string, gen: number }

/** Claims of a token of the service, or of a cookie of the host. */
export function claimsOf (token: string): Claims {
  const [, payload = ''] = token.split('.')
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims
}

/** Sessions of which no end was answered. */
export const living = ({ sessions }: Person): Session[] => sessions.filter(({ isOver }) => !isOver)
