import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Line } from '../../src/client/follower.js'
import { idDigest } from '../../src/core/claims.js'
import { CLIENT_KEY, type App } from './app.js'

/** Makes an app listen on a free port. @returns its address */
export async function addressOf (app: App): Promise<string> {
  if (!app.server.listening) await app.listen({ port: 0, host: '127.0.0.1' })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

/** Lines of one answer, as they come. @throws if it is not 200 */
export async function * linesOf (address: string, after?: string): AsyncGenerator<Line> {
  const query = after === undefined ? '' : `?after=${encodeURIComponent(after)}`
  const sent = request(`${address}/revocations${query}`, { headers: { authorization: `Bearer ${CLIENT_KEY}` } }).end()
  const [answer] = await once(sent, 'response') as [IncomingMessage]
  try {
    if (answer.statusCode !== 200) throw new Error(`Answered ${answer.statusCode}`)
    let rest = ''
    for await (const chunk of answer.setEncoding('utf8')) {
      const texts = (rest + String(chunk)).split('\n')
      rest = texts.pop()!
      yield * texts.map((text): Line => JSON.parse(text))
    }
  } finally {
    sent.destroy()
  }
}

/** Reads until a line after which the list is complete. @returns its ids and its last line */
export async function listOf (address: string, after?: string): Promise<{ ids: string[], last: Line }> {
  const ids: string[] = []
  for await (const line of linesOf(address, after)) {
    ids.push(...line.ids)
    if (!line.more) return { ids, last: line }
  }
  throw new Error('The answer ended before the list did')
}

/** Reads until a line names the session. @returns the line */
export async function namedLine (address: string, sessionId: unknown, after?: string): Promise<Line> {
  for await (const line of linesOf(address, after)) if (line.ids.includes(idDigest(String(sessionId)))) return line
  throw new Error('The session was not named')
}
