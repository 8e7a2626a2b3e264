import { codeOf } from './totp.js'

export interface Tokens { access: string, refresh: string, otpRequired: boolean }

/** What the flow asks of a generated client. Each function throws for an answer that it does not expect. */
export interface GeneratedClient {
  signUp (person: { username: string, email: string, password: string }): Promise<void>
  logIn (credentials: { username: string, password: string }): Promise<Tokens>
  /** Logs in and is refused. @returns the code */
  refusedLogIn (credentials: { username: string, password: string }): Promise<string>
  createTotp (access: string): Promise<{ otpUrl: string }>
  verifyTotp (access: string, code: string): Promise<Tokens>
  /** @returns the id of the user, or the code of the refusal */
  checkSession (access: string): Promise<string>
  refreshTokens (refresh: string): Promise<Tokens>
  logOut (access: string): Promise<void>
}

export function unexpected (answer: unknown): never {
  throw new Error(`unexpected: ${JSON.stringify(answer)}`)
}

function mustBe (actual: unknown, expected: unknown, step: string): void {
  if (actual !== expected) throw new Error(`${step}: ${String(actual)} in place of ${String(expected)}`)
}

async function flow (client: GeneratedClient): Promise<void> {
  const credentials = { username: `user_${process.pid}_${Date.now()}`, password: 'correct horse battery staple' }
  await client.signUp({ ...credentials, email: 'user@example.org' })
  mustBe(await client.refusedLogIn({ ...credentials, password: 'another horse battery staple' }), 'CREDENTIALS_INVALID', 'a wrong password')
  const first = await client.logIn(credentials)
  mustBe(first.otpRequired, false, 'without a factor')
  const { otpUrl } = await client.createTotp(first.access)
  const confirmed = await client.verifyTotp(first.access, codeOf(otpUrl, 0))
  const second = await client.logIn(credentials)
  mustBe(second.otpRequired, true, 'with a factor')
  mustBe(await client.checkSession(second.access), 'OTP_REQUIRED', 'before the code')
  // The next step is within the window, and the step of the confirmation is used.
  const verified = await client.verifyTotp(second.access, codeOf(otpUrl, 1))
  const userId = await client.checkSession(verified.access)
  mustBe(/^[0-9a-f-]{36}$/.test(userId), true, 'after the code')
  const refreshed = await client.refreshTokens(verified.refresh)
  mustBe(await client.checkSession(refreshed.access), userId, 'after the refresh')
  await client.logOut(refreshed.access)
  mustBe(await client.checkSession(refreshed.access), 'SESSION_ENDED', 'after the log-out')
  await client.logOut(confirmed.access)
}

/** Runs the flow against the service at the address of the first argument. */
export async function run (connect: (base: string) => GeneratedClient): Promise<void> {
  const [,, base = ''] = process.argv
  const violations: string[] = []
  const send = globalThis.fetch
  globalThis.fetch = async (...args) => {
    const answer = await send(...args)
    const violation = answer.headers.get('sl-violations')   // of a proxy that validates
    if (violation !== null) violations.push(`${answer.url}: ${violation}`)
    return answer
  }
  await flow(connect(base))
  if (violations.length > 0) throw new Error(violations.join('\n'))
}
