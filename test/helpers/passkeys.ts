import type { LightMyRequestResponse } from 'fastify'
import type { PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON } from '../../src/core/passkeys/webauthn.js'
import { softPasskey, type Falsified, type SoftPasskey, type SoftPasskeyOptions } from '../../src/testing/soft-passkey.js'
import { PASSKEY_ORIGIN } from './app.js'
import { expect, type Person } from './person.js'

// Loaded before the first request, which waits for it: on a busy machine that can take longer than a request may.
await import('@simplewebauthn/server')

interface Creation { options: PublicKeyCredentialCreationOptionsJSON, recoveryCodes: string[] }

/** Keeps the tokens of an answer. */
function keep (person: Person, answer: LightMyRequestResponse): LightMyRequestResponse {
  if (answer.statusCode === 200) Object.assign(person, answer.json<{ access: string, refresh: string }>())
  return answer
}

export const newPasskey = (options: Partial<SoftPasskeyOptions> = {}): SoftPasskey => softPasskey({ origin: PASSKEY_ORIGIN, ...options })

export async function creation (person: Person, body: { name?: string, password?: string } = {}): Promise<Creation> {
  const created = expect(201, await person.request('POST', '/totp/passkeys/create', body)).json<Creation>()
  if (created.recoveryCodes.length > 0) person.recoveryCodes = created.recoveryCodes
  return created
}

export async function challenge (person: Person): Promise<PublicKeyCredentialRequestOptionsJSON> {
  const answer = expect(200, await person.request('POST', '/totp/passkeys/challenge'))
  return answer.json<{ options: PublicKeyCredentialRequestOptionsJSON }>().options
}

export async function confirm (person: Person, response: object): Promise<LightMyRequestResponse> {
  return keep(person, await person.request('POST', '/totp/passkeys/confirm', { response }))
}

export async function answer (person: Person, response: object): Promise<LightMyRequestResponse> {
  return keep(person, await person.request('POST', '/totp/passkeys/login', { response }))
}

/** Asks for a challenge and answers it. */
export async function use (person: Person, passkey: SoftPasskey, falsified: Falsified = {}): Promise<LightMyRequestResponse> {
  return await answer(person, passkey.authenticate(await challenge(person), falsified))
}

/** Adds a passkey, the person's first factor or a further one. @throws if it is refused */
export async function addPasskey (person: Person, passkey = newPasskey(), body: { name?: string } = {}): Promise<SoftPasskey> {
  expect(200, await confirm(person, passkey.register((await creation(person, body)).options)))
  return passkey
}
