import type { Test } from 'tap'
import type { Person } from './person.js'

/** Checks a session without a device after its deadline: it can read `/totp/status`; the other routes ask for the set-up. */
export async function opensOnlyTheSetUp (t: Test, person: Person): Promise<void> {
  for (const url of ['/account', '/session', '/session?maxAge=300', '/account/security-events', '/totp/devices']) {
    const answer = await person.request('GET', url)
    t.equal(answer.statusCode, 403, url)
    t.equal(answer.json().code, 'OTP_SETUP_REQUIRED', url)
  }
  t.equal((await person.request('GET', '/totp/status')).statusCode, 200)
}
