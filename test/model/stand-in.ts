import { openPostgres } from '../../src/postgres/server-pool.js'
import type { Requester } from '../../src/core/session.js'
import { createDb, type Db } from '../../src/tables/db.js'
import { freshApp } from '../helpers/app.js'
import type { Query } from '../helpers/clock.js'
import { signUp } from '../helpers/person.js'
import type { Owner } from '../helpers/teardown.js'

/** One user of the service with an app and a verified session, for the steps of a model. */
export interface StandIn {
  db: Db
  query: Query
  requester: Requester
  deviceId: string
  /** Sets the rows to those at the beginning of a model: no step used, generation 0, no end, no attempt. */
  reset (): Promise<void>
}

/** Transactions of a model that are open at once. */
const CONNECTIONS = 8

export async function standIn (t: Owner): Promise<StandIn> {
  const { app, db: { url, query } } = await freshApp(t)
  await (await signUp(app, 'ada')).enrol()
  const pool = openPostgres(url!, CONNECTIONS, () => {})
  t.teardown(() => pool.close())
  const [session] = await query<{ user_id: string, id: string, otp_device_id: string }>(
    'select user_id, id, otp_device_id from otp_session where ended_at is null'
  )
  const { user_id: userId, id: sessionId, otp_device_id: deviceId } = session!
  // The replay alone sends statements from now on.
  await app.close()
  return {
    db: createDb(pool.dialect, { hasAccounts: true }),
    query,
    deviceId,
    requester: {
      ip: '198.51.100.1',
      agent: '',
      network: '198.51.100.1',
      context: {
        userId, sessionId, otpDeviceId: deviceId, otpRequired: true, otpTime: 0, otpDeadline: null, authTime: 0, expiresAt: Infinity
      }
    },
    async reset () {
      await query('update otp_totp set last_step = 0')
      await query(`update otp_session set ended_at = null, ended_xid = null, end_reason = null, generation = 0, failures = 0,
        rotated_at = clock_timestamp(), rotated_network = null, reused_generation = null, reused_xid = null`)
    }
  }
}
