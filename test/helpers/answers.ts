import type { LightMyRequestResponse } from 'fastify'

/** Returns the part of an answer by which a client decides: `200`, or the status and the code as `400 OTP_INVALID`. */
export function outcome (answer: LightMyRequestResponse): string {
  const { code } = answer.statusCode < 400 ? {} : answer.json<{ code?: string }>()
  return code === undefined ? String(answer.statusCode) : `${answer.statusCode} ${code}`
}

/** Returns the body without the id of the request, in which two answers that say the same differ. */
export const bodyOf = ({ body }: Pick<LightMyRequestResponse, 'body'>): string => body.replace(/"requestId":"[^"]*"/, '"requestId":""')

/** Counts the answers by outcome. */
export function countOutcomes (answers: readonly LightMyRequestResponse[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[outcome(answer)] = (counts[outcome(answer)] ?? 0) + 1
  return counts
}

/** Repeats the request while the answer is 503. On a busy machine, some of the requests that wait for one lock get 503. */
export async function insist (ask: () => Promise<LightMyRequestResponse>): Promise<LightMyRequestResponse> {
  const answer = await ask()
  return answer.statusCode === 503 ? await insist(ask) : answer
}
