/** Replicas of revision fe11fdd, as far as PostgreSQL sees them: the statement of their readings, from git, at their pace. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { CompiledQuery } from 'kysely'
import type { Db } from '../../src/tables/db.js'

const ROOT = join(import.meta.dirname, '../../..')
const SOURCE = 'fe11fdd:src/db/ends.ts'
/** Four readings within REVOCATION_SECONDS=1, as there. */
const INTERVAL_MS = 250

/** Expressions in its template, and what PostgreSQL got for them. */
const written = { 'table.otp_session': '"otp_session"', cursor: '$1', 'MOST_ENDS + 1': '$2' }

let text: string | undefined

/** @throws {Error} if the revision is not in this repository, or its source is not as expected */
function statement (): string {
  if (text !== undefined) return text
  const source = execFileSync('git', ['show', SOURCE], { cwd: ROOT, encoding: 'utf8' })
  const [, template] = /sql`(\s*with named[^`]*)`/.exec(source) ?? []
  if (template === undefined) throw new Error(`${SOURCE} has no such statement`)
  text = template.replaceAll(/\$\{([^}]*)\}/g, (_, expression: string) => {
    const found = written[expression as keyof typeof written]
    if (found === undefined) throw new Error(`${SOURCE} has another expression: ${expression}`)
    return found
  })
  return text
}

/** Reads four times a second, until it is stopped. */
export function formerReplica (db: Db) {
  let cursor: string | null = null
  let own = 0
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let isStopped = false

  async function read (): Promise<void> {
    const { rows } = await db.kysely.executeQuery<{ cursor: string }>(CompiledQuery.raw(statement(), [cursor, 10_001]))
    cursor = rows[0]!.cursor
    own++
  }

  function ring (): void {
    running = read().catch(console.error).finally(() => {
      if (!isStopped) timer = setTimeout(ring, INTERVAL_MS * (0.9 + Math.random() * 0.2))
    })
  }

  return {
    start: ring,
    isFresh: () => own > 0,
    readings: () => ({ own, shared: 0 }),
    async stop () {
      isStopped = true
      clearTimeout(timer)
      await running
    }
  }
}
