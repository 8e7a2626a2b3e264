import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config/config.js'
import { shownAgent } from '../core/agents.js'
import { Refusal } from '../core/refusals.js'
import { listSessions } from '../sessions/list.js'
import { countMarked, markAll, writeEventsOfMark } from '../sessions/marks.js'
import type { Db } from '../tables/db.js'
import { commandLine, endUserSession, endUserSessions } from '../staff/changes.js'
import { withContext } from './context.js'
import { CommandError, MisuseError, printable, shownTime, table, type Io } from './io.js'
import { staffDeps } from './staff.js'
import { requireUser } from './user/user.js'

/** Lists the live sessions of a user, last seen first, as the route for staff does. */
export async function listSessionsCommand (io: Io, config: Config, username: string): Promise<void> {
  await withContext(config, async (context) => {
    const { id } = await requireUser(context, username)
    const listed = await listSessions(context.db, id, config.refreshSeconds)
    const sessions = listed.map((session) => ({ ...session, agent: shownAgent(session.agent) }))
    if (io.json) for (const session of sessions) io.print(session, [])
    else {
      io.print(sessions, table(
        ['session', 'address', 'browser', 'started', 'last seen', 'verified'],
        sessions.map(({ id, ip, agent, startedAt, lastSeenAt, isVerified }) =>
          [id, ip, agent, shownTime(startedAt), shownTime(lastSeenAt), isVerified ? 'yes' : 'no'])
      ))
    }
  })
}

export interface EndOptions { session?: string, all?: boolean }

/**
 * Ends one session of a user, all sessions of a user, or all sessions. The service may run: each replica refuses them
 * within a second.
 */
export async function endSessionsCommand (
  io: Io, config: Config, username: string | undefined, { session, all = false }: EndOptions
): Promise<void> {
  if (all === (username !== undefined)) throw new MisuseError('Give a username, or --all for every session of every user.')
  if (all && session !== undefined) throw new MisuseError('--session names a session of one user: it does not go with --all.')
  await withContext(config, async (context) => {
    if (username === undefined) return await endAll(io, context.db)
    const user = await requireUser(context, username)
    const name = printable(user.username)
    if (session === undefined) {
      const endedSessions = await endUserSessions(staffDeps(context), commandLine, user.id)
      return io.print({ id: user.id, endedSessions }, [`Ended ${count(endedSessions, 'session')} of ${name}.`])
    }
    await endUserSession(staffDeps(context), commandLine, user.id, session).catch((error: unknown) => {
      throw error instanceof Refusal && error.code === 'NOT_FOUND' ? new CommandError('This user has no such session.') : error
    })
    io.print({ id: user.id, endedSessions: 1 }, [`Ended the session ${printable(session)} of ${name}.`])
  })
}

/** Ends every session by one mark, then writes the events of their users. Returns when proofs from now on are not covered. */
async function endAll (io: Io, db: Db): Promise<void> {
  const progress = io.progress('writing events')
  const ended = { endedSessions: 0, users: 0 }
  try {
    const mark = await markAll(db)
    const total = await countMarked(db, mark)
    for (let next: string | null = ''; next !== null;) {
      const page = await writeEventsOfMark(db, mark, commandLine.id, next)
      ended.endedSessions += page.sessions
      ended.users += page.users
      next = page.next
      progress.update(Math.min(ended.endedSessions, total), total)
    }
    await delay(Math.ceil(mark.waitMs) + 1)
  } finally {
    progress.stop()
  }
  io.print(ended, [`Ended ${count(ended.endedSessions, 'session')} of ${count(ended.users, 'user')}.`])
}

const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`
