import { resumeMails } from '../accounts/mail/mailbox.js'
import { writeEvent } from '../events/insert.js'
import type { Db } from '../tables/db.js'
import { asStaff, type Actor, type Changed } from './statements.js'

/** Lets mails go to a user's address again, and links for a new password. A repeated change leaves no event. */
export async function resumeMailsOf (db: Db, actor: Actor, userId: string, reason: string): Promise<Changed> {
  return await asStaff(db, actor, userId, async (tx) => {
    if (await resumeMails(tx, userId)) {
      const nowhere = { ip: '', agent: '' }
      await writeEvent(tx, { userId, kind: 'mail_resumed', sessionId: null, origin: nowhere, actorId: actor.id, detail: reason })
      if (actor.sessionId !== null) {
        await writeEvent(tx, {
          userId: actor.id, kind: 'staff_acted', sessionId: actor.sessionId, origin: actor, detail: `mail_resumed ${userId}: ${reason}`
        })
      }
    }
    return { endedIds: [], value: null }
  })
}
