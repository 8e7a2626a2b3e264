import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { sessionIdOf } from '../helpers/host-app.js'
import { need } from '../helpers/need.js'
import { signUp, userId } from '../helpers/person.js'

/*
 * A host called `endSession` again, since the answer of its first call was lost, or ended a session that had ended at another replica.
 * The call found nothing to end, and this replica accepted the session until it heard of the end.
 */

await need('postgres')
const { app, db } = await freshHost(t)

t.test('J5 after `endSession` this replica refuses the session, also if it had ended before', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const sessionId = sessionIdOf(ada.access!)
  t.equal(outcome(await ada.request('GET', '/session')), '200')
  // As the first call did, before this replica has read the revocations.
  await db.query("update otp_session set ended_at = clock_timestamp(), end_reason = 'logged_out' where id = $1", [sessionId])
  t.equal(outcome(await ada.request('GET', '/session')), '200', 'it does not know yet')
  await app.countersign.endSession(userId(ada), sessionId)
  t.equal(outcome(await ada.request('GET', '/session')), '401 SESSION_ENDED')
})
