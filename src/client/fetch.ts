import { bearerOf, forwardedFor, refusalAnswer, type AccessClaims, type Client, type Demand } from './index.js'

/**
 * Verifies a request of the Fetch API.
 *
 * @returns the claims, or the response that refuses
 */
export async function verified (
  client: Pick<Client, 'verify'>, request: Request, demand?: Demand
): Promise<Readonly<AccessClaims> | Response> {
  try {
    return await client.verify(bearerOf(request.headers.get('authorization')), demand, forwardedFor(request))
  } catch (error) {
    const answer = refusalAnswer(error)
    if (answer === undefined) throw error
    return Response.json(answer.body, { status: answer.status, headers: answer.headers })
  }
}

/** Returns the response with headers by which no cache stores it. Those of `Response.redirect` and of `fetch` cannot be changed. */
export function unstored (response: Response): Response {
  try {
    response.headers.set('cache-control', 'private, no-store')
    return response
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const { body, status, statusText } = response
    const headers = new Headers(response.headers)
    headers.set('cache-control', 'private, no-store')
    return new Response(body, { status, statusText, headers })
  }
}
