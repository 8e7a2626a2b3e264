/** Session of a user at a host, with the credentials that the host gave: a token or a cookie. */
export interface Visitor {
  ask (method: string, path: string, body?: unknown): Promise<Answer>
  /** Returns a visitor with the same credentials, as a thief would copy them. */
  copy (): Visitor
}

export interface Answer { status: number, headers: Headers, text: string, json: any }

interface Credentials {
  token?: string
  cookie?: string
  /** Origin of the page that sends the requests. */
  origin?: string
}

/**
 * Makes a visitor that sends the token or the cookie that it got last, as a client would.
 *
 * @param bases instances of the host, used in turn
 */
export function visitorAt (bases: readonly string[], shown: Credentials = {}): Visitor {
  const credentials = { ...shown }
  let turn = 0
  return {
    async ask (method, path, body) {
      const answer = await fetch(`${bases[turn++ % bases.length]}${path}`, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(credentials.origin === undefined ? {} : { origin: credentials.origin }),
          ...(credentials.token === undefined ? {} : { authorization: `Bearer ${credentials.token}` }),
          ...(credentials.cookie === undefined ? {} : { cookie: credentials.cookie })
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const text = await answer.text()
      const json = text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : {}
      const [cookie] = answer.headers.getSetCookie()
      if (cookie !== undefined) credentials.cookie = cookie.split(';')[0]!
      if (typeof json.token === 'string') credentials.token = json.token
      return { status: answer.status, headers: answer.headers, text, json }
    },
    copy: () => visitorAt(bases, credentials)
  }
}
