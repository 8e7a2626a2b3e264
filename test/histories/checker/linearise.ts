import type { Call } from '../history.js'
import type { Specification, State } from './specification.js'

/** Member of the doubly linked list of invocations and answers, in the order of time. */
interface Event {
  atMs: number
  operation: Operation
  isAnswer: boolean
  before: Event | null
  next: Event | null
}

interface Operation {
  call: Call
  /** Bit in the set of calls that have their place in the order; 0 for a call without an answer. */
  bit: bigint
  invocation: Event
  /** Absent if the call may have happened at any time until the end, or not at all. */
  answer?: Event
}

/** Sets of calls are remembered with their state; more are no small history. */
const MOST_REMEMBERED = 2_000_000

/**
 * Searches for an order of the calls on one object in which each answer is right (Wing and Gong 1993), with a memory of the sets of calls
 * that were tried with the same state (Lowe 2017). A call without an answer may be left out.
 *
 * @returns true if there is such an order
 * @throws if the search grows too large to say
 */
export function isLinearisable (
  calls: readonly Call[], { first, after, lateMs }: Pick<Specification, 'first' | 'after' | 'lateMs'>, object = ''
): boolean {
  const { head, needed } = listOf(calls, (call) => lateMs?.(call, object) ?? 0)
  const tried = new Set<string>()
  const chosen: Array<{ operation: Operation, state: State }> = []
  let missing = needed
  let state = first
  let placed = 0n
  let at = head.next
  while (missing > 0) {
    if (at !== null && !at.isAnswer) {
      const next = after(state, at.operation.call)
      const set = placed | at.operation.bit
      if (next === null || !isNew(tried, set, next)) {
        at = at.next
        continue
      }
      chosen.push({ operation: at.operation, state })
      state = next
      placed = set
      if (at.operation.answer !== undefined) {
        missing--
        lift(at.operation)
      }
      at = head.next
      continue
    }
    // An answer comes next whose call has no place: take the newest choice back.
    const last = chosen.pop()
    if (last === undefined) return false
    if (last.operation.answer !== undefined) {
      missing++
      putBack(last.operation)
    }
    state = last.state
    placed ^= last.operation.bit
    at = last.operation.invocation.next
  }
  return true
}

function isNew (tried: Set<string>, set: bigint, state: State): boolean {
  const size = tried.size
  tried.add(`${set.toString(36)} ${state}`)
  if (tried.size > MOST_REMEMBERED) throw new Error('Too many orders: there is no answer')
  return tried.size > size
}

function listOf (calls: readonly Call[], lateMs: (call: Call) => number): { head: Event, needed: number } {
  const events: Event[] = []
  for (const [index, call] of calls.entries()) {
    const operation = { call, bit: 0n } as Operation
    const event = (atMs: number, isAnswer: boolean): Event => ({ atMs, operation, isAnswer, before: null, next: null })
    operation.invocation = event(call.invokedMs, false)
    events.push(operation.invocation)
    if (call.result === 'maybe' || call.answeredMs === null) continue
    operation.bit = 1n << BigInt(index)
    operation.answer = event(call.answeredMs + lateMs(call), true)
    events.push(operation.answer)
  }
  // Calls that begin at the moment of an answer are concurrent with it.
  events.sort((a, b) => a.atMs - b.atMs || Number(a.isAnswer) - Number(b.isAnswer))
  const head: Event = { atMs: -Infinity, operation: {} as Operation, isAnswer: true, before: null, next: null }
  let last = head
  for (const event of events) {
    last.next = event
    event.before = last
    last = event
  }
  return { head, needed: events.filter(({ isAnswer }) => isAnswer).length }
}

/** Takes a call out of the list. */
function lift ({ invocation, answer }: Operation): void {
  for (const event of [invocation, answer!]) {
    event.before!.next = event.next
    if (event.next !== null) event.next.before = event.before
  }
}

/** Puts a call back, in the reverse order. */
function putBack ({ invocation, answer }: Operation): void {
  for (const event of [answer!, invocation]) {
    event.before!.next = event
    if (event.next !== null) event.next.before = event
  }
}
