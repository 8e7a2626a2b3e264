import type { LightMyRequestResponse } from 'fastify'

/** What a client decides by: `200`, or the status and the code as `400 OTP_INVALID`. */
export function outcome (answer: LightMyRequestResponse): string {
  const { code } = answer.statusCode < 400 ? {} : answer.json<{ code?: string }>()
  return code === undefined ? String(answer.statusCode) : `${answer.statusCode} ${code}`
}

/** How many answers there were of each outcome. */
export function tally (answers: readonly LightMyRequestResponse[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[outcome(answer)] = (counts[outcome(answer)] ?? 0) + 1
  return counts
}

/** Asks again while the answer is 503: of requests that wait for one lock, some are told to come back on a machine that is busy. */
export async function insist (ask: () => Promise<LightMyRequestResponse>): Promise<LightMyRequestResponse> {
  const answer = await ask()
  return answer.statusCode === 503 ? await insist(ask) : answer
}
