import type { PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON } from '../../../src/core/passkeys/webauthn.js'
import { softPasskey } from '../../../src/testing/soft-passkey.js'
import type { Answer } from '../recorder.js'
import type { Databases } from '../stage/databases.js'
import { ORIGIN } from '../stage/stage.js'
import type { Client } from './client.js'
import { claimsOf } from './person.js'

/** A member of staff with a passkey, which, unlike codes, can be used as often as needed. */
export interface Staff {
  /** Sends a request with a verified session. Logs in again if there is none. */
  ask (method: string, path: string, body?: object): Promise<Answer>
}

const PASSWORD = 'a password of the staff of histories'
/** A busy machine answers 503 too. Then another one is appointed. */
const TRIES = 10

/** Signs up and appoints a member of staff. To be called before there are faults. */
export async function appointStaff (client: Client, databases: Databases): Promise<Staff> {
  for (let n = 0; n < TRIES; n++) {
    const staff = await appoint(client, databases, `grace-${n}`).catch(() => null)
    if (staff !== null) return staff
  }
  throw new Error('No member of staff could be appointed')
}

/** @returns null if one of the requests was refused */
async function appoint (client: Client, databases: Databases, username: string): Promise<Staff | null> {
  const passkey = softPasskey({ origin: ORIGIN, synced: true })
  let access = ''
  const ask = async (method: string, path: string, body?: object) =>
    await client.ask(client.anyOf(false), method, path, { access, ...(body === undefined ? {} : { body }) })

  async function logIn (): Promise<void> {
    access = String((await ask('POST', '/token', { username, password: PASSWORD })).body['access'])
  }
  async function verify (): Promise<void> {
    await logIn()
    const { body } = await ask('POST', '/totp/passkeys/challenge')
    if (body['options'] === undefined) return
    const response = passkey.authenticate(body['options'] as PublicKeyCredentialRequestOptionsJSON)
    const answer = await ask('POST', '/totp/passkeys/login', { response })
    if (answer.status === 200) access = String(answer.body['access'])
  }

  await ask('POST', '/users', { username, email: `${username}@example.org`, password: PASSWORD })
  await logIn()
  await databases.query('service', 'update account set is_staff = true where id::text = $1', [claimsOf(access).sub])
  const { body } = await ask('POST', '/totp/passkeys/create', { name: 'Key', password: PASSWORD })
  const response = passkey.register(body['options'] as PublicKeyCredentialCreationOptionsJSON)
  const confirmed = await ask('POST', '/totp/passkeys/confirm', { response })
  if (confirmed.status !== 200) return null
  access = String(confirmed.body['access'])
  return {
    async ask (method, path, body) {
      const answer = await ask(method, path, body)
      if (answer.status !== 401 && answer.status !== 403) return answer
      await verify()
      return await ask(method, path, body)
    }
  }
}
