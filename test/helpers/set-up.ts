import type { Test } from 'tap'
import type { Person } from './person.js'

/** What a session without a device opens when its deadline has passed: what sets one up, and the way out. */
export async function opensOnlyTheSetUp (t: Test, person: Person): Promise<void> {
  for (const url of ['/account', '/session', '/session?maxAge=300', '/account/security-events', '/totp/devices']) {
    const answer = await person.request('GET', url)
    t.equal(answer.statusCode, 403, url)
    t.equal(answer.json().code, 'OTP_SETUP_REQUIRED', url)
  }
  t.equal((await person.request('GET', '/totp/status')).statusCode, 200)
}
