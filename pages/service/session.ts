import { ANSWER_MS, ApiError, errorOf } from '../elements/api.js'

/** Answer of every operation of the service that brings tokens. */
export interface Tokens {
  access: string
  refresh: string
  expiresIn: number
  otpRequired: boolean
  otpMethods: readonly ('totp' | 'passkey' | 'recovery_code')[]
  otpExpiresAt: string | null
}

/** What a tab tells the others: the tokens in place of those of a session, or that it has ended. */
interface News { sessionId: string, tokens: Tokens | null }

/** The refresh token lasts as long as the tab; the access token is in memory alone. */
const STORED = 'countersign-refresh'
/** An access token is renewed before it ends: the request that carries it takes some time. */
const MARGIN_SECONDS = 15

export interface Session {
  /** Tokens of this tab; null without a session. */
  tokens (): Tokens | null
  /** Stores the tokens of a session that began, or that goes on under another id. */
  begin (tokens: Tokens): void
  /** Reads the session that the tab had before a reload. */
  restore (): Promise<void>
  /** Adds the access token to a request: a new one if it is about to end, or was refused. */
  authorize (request: Request, isRetry: boolean): Promise<void>
  /** Gives a session that is not verified yet more time, and returns its new end. */
  extend (): Promise<string | null>
  /** Forgets the tokens, in other tabs of the same session too. */
  forget (): void
}

/**
 * The session of this tab. A duplicated tab has the same session. One tab at a time refreshes, and hands the result on: the service
 * takes a refresh token once.
 *
 * @param changed called when another tab changed the session
 */
export function createSession (root: URL, changed: () => void): Session {
  let tokens: Tokens | null = null
  let renewAtMs = 0
  const channel = new BroadcastChannel('countersign-session')

  function keep (next: Tokens | null): void {
    tokens = next
    renewAtMs = Date.now() + 1000 * ((next?.expiresIn ?? 0) - MARGIN_SECONDS)
    if (next === null) sessionStorage.removeItem(STORED)
    else sessionStorage.setItem(STORED, next.refresh)
  }

  /** Stores tokens here, and in the tabs that have the same session. */
  function replace (next: Tokens | null): void {
    const sessionId = sessionIdOf(sessionStorage.getItem(STORED))
    keep(next)
    if (sessionId !== null) channel.postMessage({ sessionId, tokens: next } satisfies News)
  }

  channel.addEventListener('message', ({ data }: MessageEvent<News>) => {
    if (data.sessionId !== sessionIdOf(sessionStorage.getItem(STORED))) return
    keep(data.tokens)
    changed()
  })

  const isCurrent = () => tokens !== null && Date.now() < renewAtMs

  async function refresh (extend: boolean): Promise<void> {
    // Another tab may have refreshed while this one waited for its turn.
    if (isCurrent() && !extend) return
    const stored = sessionStorage.getItem(STORED)
    if (stored === null) throw new ApiError('SESSION_ENDED')
    const response = await fetch(new URL('token/refresh', root), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ refresh: stored, extend }),
      // All tabs wait for this one.
      signal: AbortSignal.timeout(ANSWER_MS)
    }).catch(() => { throw new ApiError('UNREACHABLE') })
    // The same refresh token brings the answer again if this one broke off.
    const next = response.ok ? await response.json().catch(() => { throw new ApiError('UNREACHABLE') }) as Tokens : null
    // A refusal of the service ends the session here. One without its header is that of a proxy, which knows no refresh token.
    const isRefused = [400, 401].includes(response.status) && response.headers.has('x-refusal')
    if (response.status === 429) throw errorOf(response, await response.json().catch(() => undefined))
    if (next === null && !isRefused) throw new ApiError('UNREACHABLE')
    // Meanwhile another session took the place of this one, in this tab or in another one, or the user signed out: this answer is over.
    if (sessionStorage.getItem(STORED) === stored) replace(next)
    if (tokens === null) throw new ApiError('SESSION_ENDED')
  }

  /** Without TLS, browsers have no locks: then tabs may refresh at once, which the service forgives until the result was used. */
  async function refreshInTurn ({ extend = false } = {}): Promise<void> {
    if (navigator.locks === undefined) await refresh(extend)
    else await navigator.locks.request('countersign-refresh', () => refresh(extend))
  }

  return {
    tokens: () => tokens,
    begin: replace,
    async restore () {
      if (sessionStorage.getItem(STORED) === null) return
      await refreshInTurn().catch((error: unknown) => {
        if (!(error instanceof ApiError) || error.code !== 'SESSION_ENDED') throw error
      })
    },
    async authorize ({ headers }, isRetry) {
      if (tokens === null && sessionStorage.getItem(STORED) === null) return
      if (isRetry) renewAtMs = 0
      if (!isCurrent()) await refreshInTurn()
      if (tokens !== null) headers.set('authorization', `Bearer ${tokens.access}`)
    },
    async extend () {
      await refreshInTurn({ extend: true })
      return tokens?.otpExpiresAt ?? null
    },
    forget () { replace(null) }
  }
}

/** Reads the id of the session from a token, which stays the same when it is refreshed. */
function sessionIdOf (token: string | null): string | null {
  const payload = token?.split('.')[1]
  if (payload === undefined) return null
  return (JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) as { sid: string }).sid
}
