/** A person's day: a password, a code, guarded requests at one replica or another, refreshes, the log-out. */
import { setTimeout as delay } from 'node:timers/promises'

/** What one person does at one product. Each call throws if the answer is not the expected one. */
export interface Life {
  logIn (base: string): Promise<void>
  giveCode (base: string): Promise<void>
  guarded (base: string): Promise<void>
  /** Absent where sessions have no refresh. */
  refresh?: (base: string) => Promise<void>
  logOut (base: string): Promise<void>
}

export interface Pace {
  /** From the first guarded request of a person to the log-out. */
  paceSeconds: number
  /** From the first log-in of all people to the last. */
  arrivalSeconds: number
  guarded: number
  refreshes: number
}

interface Act { atMs: number, person: number, run: (life: Life, base: string) => Promise<void> | undefined }

/** Acts of a person, in milliseconds since the person's arrival. The code comes after the time that it takes to read one. */
export function actsOfADay ({ paceSeconds, guarded, refreshes }: Omit<Pace, 'arrivalSeconds'>): Array<Omit<Act, 'person'>> {
  const paceMs = paceSeconds * 1000
  const codeMs = Math.min(5_000, paceMs / 60)
  return [
    { atMs: 0, run: (life, base) => life.logIn(base) },
    { atMs: codeMs, run: (life, base) => life.giveCode(base) },
    // Half a step off, so that no two acts of a person are due at the same time.
    ...Array.from({ length: guarded }, (_, i): Omit<Act, 'person'> => ({
      atMs: 2 * codeMs + (i + 0.5) * paceMs / guarded, run: (life, base) => life.guarded(base)
    })),
    ...Array.from({ length: refreshes }, (_, i): Omit<Act, 'person'> => ({
      atMs: 2 * codeMs + (i + 1) * paceMs / (refreshes + 1), run: (life, base) => life.refresh?.(base)
    })),
    { atMs: 3 * codeMs + paceMs, run: (life, base) => life.logOut(base) }
  ]
}

/**
 * Lives all days, each act at its time at one of the replicas. The acts of one person wait for each other.
 *
 * @param bases addresses of the replicas
 * @returns the number of acts that failed, and the first failure
 */
export async function live (lives: readonly Life[], bases: readonly string[], pace: Pace): Promise<{ failed: number, first?: unknown }> {
  const day = actsOfADay(pace)
  const acts = lives
    .flatMap((_life, person) => day.map(({ atMs, run }): Act => (
      { atMs: atMs + person / lives.length * pace.arrivalSeconds * 1000, person, run }
    )))
    .sort((a, b) => a.atMs - b.atMs)
  const tails: Array<Promise<void>> = lives.map(() => Promise.resolve())
  const result: { failed: number, first?: unknown } = { failed: 0 }
  const beganAtMs = performance.now()
  let turn = 0
  for (const { atMs, person, run } of acts) {
    const restMs = beganAtMs + atMs - performance.now()
    if (restMs > 0) await delay(restMs)
    // A step that is coprime to the number of replicas: neighbouring acts go to different replicas, and so do those of one person.
    turn = (turn + 7) % bases.length
    const base = bases[turn]!
    tails[person] = tails[person]!.then(() => run(lives[person]!, base)).catch((error: unknown) => {
      result.failed++
      result.first ??= error
    })
  }
  await Promise.all(tails)
  return result
}
