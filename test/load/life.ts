import type { App } from '../helpers/app.js'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'

const PASSWORD = 'a password for a whole life'

type Ask = (
  status: number, method: 'GET' | 'POST' | 'DELETE', url: string, given?: { access?: string, body?: object, at?: App }
) => Promise<Record<string, string>>

/**
 * Runs the usual operations of one user with the service, each once, in sequence, with the real clock.
 *
 * @param other another replica, which has no session in its cache
 * @returns the duration in milliseconds, by operation
 */
export async function live (app: App, other: App, username: string): Promise<Map<string, number>> {
  const tookMs = new Map<string, number>()
  const ask: Ask = async (status, method, url, { access, body, at = app } = {}) => {
    const beganAtMs = performance.now()
    const answer = await at.inject({
      method,
      url,
      ...(access === undefined ? {} : { headers: { authorization: `Bearer ${access}` } }),
      ...(body === undefined ? {} : { payload: body })
    })
    tookMs.set(`${method} ${url} ${status}${at === other ? ', elsewhere' : ''}`, performance.now() - beganAtMs)
    if (answer.statusCode !== status) throw new Error(`${url}: ${answer.statusCode} ${answer.body}`)
    return status === 204 ? {} : answer.json()
  }
  const credentials = { username, password: PASSWORD }

  await ask(201, 'POST', '/users', { body: { ...credentials, email: `${username}@example.org` } })
  const first = await ask(200, 'POST', '/token', { body: credentials })
  const { otpUrl = '', recoveryCodes } = await ask(201, 'POST', '/totp/create', { access: first['access']! })
  const step = stepAt(new Date())
  const code = (offset: number) => ({ token: totp(secretOf(otpUrl), step + offset) })
  const verified = await ask(200, 'POST', '/totp/login', { access: first['access']!, body: code(0) })
  const access = verified['access']!
  const lists = ['/session', '/totp/status', '/totp/devices', '/account', '/account/sessions', '/account/security-events']
  for (const url of lists) await ask(200, 'GET', url, { access })
  await ask(200, 'GET', '/session', { access, at: other })

  const second = (await ask(200, 'POST', '/token', { body: credentials }))['access']!
  await ask(400, 'POST', '/totp/login', { access: second, body: code(5) })
  const again = await ask(200, 'POST', '/totp/login', { access: second, body: code(1) })
  const refreshed = await ask(200, 'POST', '/token/refresh', { body: { refresh: again['refresh'] } })
  await ask(204, 'POST', '/token/revoke', { access: refreshed['access']! })

  const third = (await ask(200, 'POST', '/token', { body: credentials }))['access']!
  const recovered = await ask(200, 'POST', '/totp/recovery_code/login', { access: third, body: { token: recoveryCodes![0] } })
  await ask(201, 'POST', '/totp/recovery_code/create', { access: recovered['access']! })
  await ask(401, 'POST', '/token', { body: { ...credentials, password: 'not the password' } })
  return tookMs
}
