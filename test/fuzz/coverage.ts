import { readFileSync } from 'node:fs'
import { Session, type Profiler } from 'node:inspector'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Reached characters of a file. */
export type Reached = Map<string, Uint8Array>

/**
 * Session of the profiler, from the import of this file on: V8 counts the ranges inside a function only if it is compiled after
 * that. So targets are imported later.
 */
const session = new Session()
session.connect()
post('Profiler.enable')
post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

/** A session in the same process answers before `post` returns. */
function post (method: string, parameters: object = {}): unknown {
  let answer: unknown
  session.post(method, parameters, (error, result) => {
    if (error !== null) throw error
    answer = result
  })
  return answer
}

/** Coverage of some compiled files, by V8: to the range inside a function. */
export class Coverage {
  readonly #lengths = new Map<string, number>()
  /** Characters that are in some function. */
  readonly #inFunctions: Reached = new Map()
  readonly #seen: Reached = new Map()

  /** @param files as `Target.files` */
  constructor (files: readonly string[]) {
    for (const file of files) {
      const path = resolve(join('build', file))
      const { length } = readFileSync(path, 'utf8')
      const url = pathToFileURL(path).href
      this.#lengths.set(url, length)
      this.#seen.set(url, new Uint8Array(length))
      this.#inFunctions.set(url, new Uint8Array(length))
    }
  }

  /** Returns the characters that ran since the last call. */
  take (): Reached {
    const { result } = post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType
    const reached: Reached = new Map()
    for (const { url, functions } of result) {
      const length = this.#lengths.get(url)
      if (length === undefined) continue
      const now = new Uint8Array(length)
      // An outer function comes before those in it, and an outer range before those in it.
      for (const { ranges } of functions) {
        const [{ startOffset, endOffset }] = ranges as [Profiler.CoverageRange]
        // The outermost function is the file itself, which ran when it was loaded.
        if (startOffset === 0 && endOffset >= length) continue
        this.#inFunctions.get(url)!.fill(1, startOffset, endOffset)
        for (const range of ranges) now.fill(range.count > 0 ? 1 : 0, range.startOffset, range.endOffset)
      }
      reached.set(url, now)
    }
    return reached
  }

  /** Returns how many of these characters were never reached before. */
  countNew (reached: Reached): number {
    let count = 0
    for (const [url, now] of reached) {
      const seen = this.#seen.get(url)!
      for (let at = 0; at < now.length; at++) if (now[at]! > seen[at]!) count++
    }
    return count
  }

  add (reached: Reached): void {
    for (const [url, now] of reached) {
      const seen = this.#seen.get(url)!
      for (let at = 0; at < now.length; at++) if (now[at] === 1) seen[at] = 1
    }
  }

  forget (): void {
    for (const seen of this.#seen.values()) seen.fill(0)
  }

  /** Part of the characters in functions that were reached: 0 to 1. */
  part (): number {
    let [reached, all] = [0, 0]
    for (const [url, seen] of this.#seen) {
      const inFunctions = this.#inFunctions.get(url)!
      for (let at = 0; at < seen.length; at++) {
        all += inFunctions[at]!
        reached += inFunctions[at]! & seen[at]!
      }
    }
    return all === 0 ? 0 : reached / all
  }

  /** Lines of source that no input reached, as `file:line`. */
  missed (): string[] {
    return [...this.#seen].flatMap(([url, seen]) => {
      const source = readFileSync(new URL(url), 'utf8')
      const inFunctions = this.#inFunctions.get(url)!
      const lines = new Set<number>()
      let line = 1
      for (let at = 0; at < source.length; at++) {
        if (source[at] === '\n') line++
        else if (source[at]!.trim() !== '' && inFunctions[at] === 1 && seen[at] === 0) lines.add(line)
      }
      return [...lines].map((one) => `${url.slice(url.indexOf('/build/') + 1)}:${one}`)
    })
  }
}
