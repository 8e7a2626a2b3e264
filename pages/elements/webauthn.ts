/** Why the browser created or used no passkey. */
export class PasskeyError extends Error {
  readonly reason: 'cancelled' | 'registered' | 'address' | 'failed'

  constructor (reason: PasskeyError['reason']) {
    super(reason)
    this.reason = reason
  }
}

/** Texts of browsers differ, and names are few: what the user cancelled, and a passkey that is not there, look the same. */
const reasons: Readonly<Record<string, PasskeyError['reason']>> = {
  NotAllowedError: 'cancelled', AbortError: 'cancelled', InvalidStateError: 'registered', SecurityError: 'address'
}

/** True if this page may use passkeys: browsers refuse them on addresses such as 127.0.0.1, without saying so before. */
export function hasPasskeys (): boolean {
  const isAddress = /^\[|^\d+(\.\d+){3}$/.test(location.hostname)
  return isSecureContext && !isAddress && typeof globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON === 'function'
}

/** @throws {PasskeyError} */
export async function createPasskey (options: PublicKeyCredentialCreationOptionsJSON): Promise<object> {
  return await ceremony(() => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }))
}

/** @throws {PasskeyError} */
export async function usePasskey (options: PublicKeyCredentialRequestOptionsJSON): Promise<object> {
  return await ceremony(() => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }))
}

async function ceremony (ask: () => Promise<Credential | null>): Promise<object> {
  try {
    const credential = await ask() as PublicKeyCredential | null
    if (credential === null) throw new PasskeyError('failed')
    return credential.toJSON() as object
  } catch (error) {
    throw error instanceof PasskeyError ? error : new PasskeyError(reasons[(error as Error).name] ?? 'failed')
  }
}
