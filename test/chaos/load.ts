import { Agent, request } from 'node:http'
import type { Person } from './people.js'

/** One request of the load, and its result. */
export interface Answered {
  action: Action
  atMs: number
  ms: number
  /** 0 means no answer. */
  status: number
  code: string | undefined
  /** Message of a refusal. */
  message: string | undefined
  retryAfter: string | undefined
  base: string
}

export type Action = 'session' | 'refresh' | 'wrong'

/** Shares of the load. The most frequent request is the guard's; the requests that judge codes cost most. */
const MIX: Array<[Action, number]> = [['session', 0.9], ['refresh', 0.07], ['wrong', 0.03]]
const GIVE_UP_MS = 12_000

export interface Load {
  answers: Answered[]
  /** Stops the load, and waits for open requests. */
  stop (): Promise<Answered[]>
}

/**
 * Open loop: sends `perSecond` requests each second, independent of the answers, to all replicas in turn. Guarded reads with
 * a verified session, refreshes (each client continues with its newest pair), and wrong codes on accounts for that purpose.
 *
 * @param people the last two are the accounts for the wrong codes
 */
export function startLoad (bases: string[], people: Person[], perSecond: number): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 512 })
  const answers: Answered[] = []
  const underWay = new Set<Promise<unknown>>()
  const owners = people.slice(0, -2)
  const victims = people.slice(-2)
  const refreshing = new Set<Person>()
  const startedAtMs = performance.now()
  let sent = 0

  function fire (): void {
    const base = bases[sent % bases.length]!
    const action = pick(sent)
    const person = owners[(sent * 7919) % owners.length]!
    sent++
    const doing = perform(base, action, person)
    underWay.add(doing)
    void doing.finally(() => underWay.delete(doing))
  }

  async function perform (base: string, action: Action, person: Person): Promise<void> {
    if (action === 'refresh') {
      if (refreshing.has(person)) return await perform(base, 'session', person)
      refreshing.add(person)
      const answer = await send(base, 'POST', '/token/refresh', { refresh: person.refresh })
      if (answer.status === 200) Object.assign(person, JSON.parse(answer.text))
      refreshing.delete(person)
      keep(base, action, answer)
    } else if (action === 'wrong') {
      const victim = victims[sent % victims.length]!
      keep(base, action, await send(base, 'POST', '/totp/login', { token: String(sent % 1_000_000).padStart(6, '0') }, victim.access))
    } else {
      keep(base, action, await send(base, 'GET', '/session', undefined, person.access))
    }
  }

  function keep (base: string, action: Action, { status, text, ms, retryAfter }: Raw): void {
    answers.push({ base, action, atMs: performance.now(), ms, status, retryAfter, ...refusalOf(status, text) })
  }

  function send (base: string, method: string, path: string, body?: object, access?: string): Promise<Raw> {
    const began = performance.now()
    return new Promise((resolve) => {
      const done = (status: number, text: string, retryAfter?: string) =>
        resolve({ status, text, retryAfter, ms: performance.now() - began })
      const asked = request(base + path, {
        agent,
        method,
        timeout: GIVE_UP_MS,
        headers: {
          'x-forwarded-for': networkOf(sent),
          ...(access === undefined ? {} : { authorization: `Bearer ${access}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' })
        }
      }, (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (part: string) => { text += part })
          .on('end', () => done(answer.statusCode ?? 0, text, answer.headers['retry-after']))
          .on('error', () => done(0, ''))
      })
      asked.on('timeout', () => asked.destroy()).on('error', (error: Error) => done(0, error.message))
      asked.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  const timer = setInterval(() => {
    const due = (performance.now() - startedAtMs) / 1000 * perSecond
    while (sent < due) fire()
  }, 5)

  return {
    answers,
    async stop () {
      clearInterval(timer)
      await Promise.all(underWay)
      agent.destroy()
      return answers
    }
  }
}

interface Raw { status: number, text: string, ms: number, retryAfter?: string | undefined }

/** The actions are distributed evenly, not at random, so that two runs are alike. */
function pick (n: number): Action {
  let share = (n * 0.618_033_988_75) % 1
  for (const [action, part] of MIX) {
    if (share < part) return action
    share -= part
  }
  return 'session'
}

/**
 * Returns a separate network for each request. If TRUSTED_PROXIES contains this address, the network limits apply and let all
 * requests through.
 */
function networkOf (n: number): string {
  return `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`
}

function refusalOf (status: number, text: string): Pick<Answered, 'code' | 'message'> {
  try {
    const { code, message } = status === 200 ? {} : JSON.parse(text) as Partial<Answered>
    return { code, message }
  } catch {
    return { code: undefined, message: text }
  }
}

export function quantile (values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}
