import type { PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON } from '../../src/core/passkeys/webauthn.js'
import { softPasskey, type SoftPasskey } from '../../src/testing/soft-passkey.js'
import type { Answer, Client } from './client.js'

/** Origin of the pages, for the replicas and the passkeys. */
export const ORIGIN = 'https://app.example.org'

export interface PasskeySession {
  access: string
  /** Logs the user in once more. */
  later (): Promise<string>
  /** Gets each accepted answer. */
  accept (answer: Answer): void
}

/**
 * A passkey in a user's life: set up and used, each answer sent to two replicas at once. After a fault none of them may be accepted, and
 * never both.
 */
export function createPasskeyLife ({ ask, must }: Client, wrong: string[]) {
  /** Sends one answer to a challenge twice at once, and once more. @returns true if it was accepted */
  async function giveTwice (
    path: string, { access, later, accept }: PasskeySession, response: object
  ): Promise<boolean> {
    const give = async (token: string) => await ask('POST', path, { access: token, body: { response } })
    const answers = await Promise.all([give(access), give(access)])
    const accepted = answers.filter(({ status }) => status === 200)
    for (const { status, body } of answers) {
      const isRefusal = ['PASSKEY_INVALID', 'SESSION_ENDED', 'OTP_NOT_SET_UP'].includes(String(body['code']))
      if (![200, 0, 503].includes(status) && !isRefusal) wrong.push(`${path}: ${status} ${String(body['code'])}`)
    }
    if (accepted.length > 1) wrong.push(`one challenge was answered ${accepted.length} times`)
    for (const answer of accepted) accept(answer)
    // In the session that gave it, which may live on, and in another one.
    for (const token of [access, await later()]) {
      const { status } = await give(token)
      if (status === 200 && accepted.length > 0) wrong.push(`${path}: a used answer was accepted`)
    }
    return accepted.length > 0
  }

  return {
    /** @returns null if it was refused, or its answer was lost */
    async add (session: PasskeySession): Promise<SoftPasskey | null> {
      const { access } = session
      const { status, body } = await must([201, 401, 403, 429], 'POST', '/totp/passkeys/create', { access, body: { name: 'Key' } })
      if (status !== 201) return null
      const passkey = softPasskey({ origin: ORIGIN, synced: true })
      const response = passkey.register(body['options'] as PublicKeyCredentialCreationOptionsJSON)
      return await giveTwice('/totp/passkeys/confirm', session, response) ? passkey : null
    },

    async use (passkey: SoftPasskey, session: PasskeySession): Promise<boolean> {
      const { access } = session
      const { status, body } = await must([200, 400, 401, 429], 'POST', '/totp/passkeys/challenge', { access })
      if (status !== 200) return false
      const response = passkey.authenticate(body['options'] as PublicKeyCredentialRequestOptionsJSON)
      return await giveTwice('/totp/passkeys/login', session, response)
    }
  }
}
