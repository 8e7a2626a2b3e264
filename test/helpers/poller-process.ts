/**
 * A replica's revocation poller in a process of its own, for tests that stop or kill it. Reads DATABASE_URL, REDIS_URL and
 * REVOCATION_SECONDS; prints each session that it hears of, and its part when that changes.
 */
import { connectRedis } from '../../src/redis/connect.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createRevocationPoller } from '../../src/sessions/revocations/revocation-poller.js'
import { createExchange } from '../../src/sessions/revocations/exchange.js'
import { createDb } from '../../src/tables/db.js'

const quiet = () => {}
const seconds = Number(process.env['REVOCATION_SECONDS'])
const redis = connectRedis(process.env['REDIS_URL']!, { info: quiet, warn: quiet, error: quiet })
const pool = openPostgres(process.env['DATABASE_URL']!, 1, quiet)
const exchange = createExchange({ redis, namespace: 'shared', macKeys: [Buffer.alloc(32)], leaseMs: 2000 * seconds })
const poller = createRevocationPoller(createDb(pool.dialect), seconds, {
  onEnded: (_userId, sessionId) => { console.log(`heard ${sessionId}.`) },
  onChanged: quiet,
  onMark: quiet,
  onGap: quiet,
  onOtherServer: quiet
}, quiet, exchange)

let part = ''
poller.onReading(() => {
  const { shared, isFollower } = poller.readings()
  const now = isFollower ? (shared > 0 ? 'follower' : '') : 'reader'
  if (now !== part) console.log(now)
  part = now
})
poller.start()
setInterval(quiet, 1000)
