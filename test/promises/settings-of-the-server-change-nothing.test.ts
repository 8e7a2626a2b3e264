import t, { type Test } from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { otpStatusCommand, resetOtpCommand } from '../../src/commands/otp.js'
import { listUsersCommand } from '../../src/commands/user/user.js'
import { readConfig } from '../../src/config/config.js'
import { freshApp } from '../helpers/app.js'
import { cleanUp } from '../helpers/cleanup.js'
import { worked } from '../helpers/command.js'
import { freshDatabase } from '../helpers/database.js'
import { bringOver, djangoDump } from '../helpers/django.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId } from '../helpers/person.js'
import { hostOn, livesAtHost, type HostDatabaseKind } from '../helpers/settings-host.js'
import { staffAt } from '../helpers/staff.js'
import { sized } from '../helpers/thorough.js'

await need('postgres')

const DAY_SECONDS = 86_400

/** Settings that PostgreSQL allows for a role or a database, each alone and some together. */
const hostile: Record<string, readonly string[]> = {
  'dates in German': ["datestyle = 'German'"],
  'dates in SQL, the day first, and few digits': ["datestyle = 'SQL, DMY'", "timezone = 'Asia/Kolkata'", 'extra_float_digits = -15'],
  'other text, other plans': [
    "timezone = 'Africa/Monrovia'", "intervalstyle = 'sql_standard'", "bytea_output = 'escape'", 'standard_conforming_strings = off',
    'array_nulls = off', "xmlbinary = 'hex'", "client_encoding = 'LATIN1'", 'row_security = off', 'synchronize_seqscans = off',
    "plan_cache_mode = 'force_generic_plan'", 'enable_seqscan = off', "default_text_search_config = 'pg_catalog.german'"
  ],
  'serializable transactions': ["default_transaction_isolation = 'serializable'", 'default_transaction_deferrable = on'],
  'repeatable transactions': ["default_transaction_isolation = 'repeatable read'"],
  'short times': [
    "statement_timeout = '100ms'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '5ms'", "idle_session_timeout = '50ms'"
  ]
}

async function hostileDatabase (t: Test, settings: readonly string[]) {
  const db = await freshDatabase(t)
  const name = new URL(db.url).pathname.slice(1)
  for (const setting of settings) await db.query(`alter database ${name} set ${setting}`)
  return db
}

const KINDS = ['pool', 'kysely', 'address'] as const satisfies HostDatabaseKind[]

for (const [i, [what, settings]] of Object.entries(hostile).entries()) {
  t.test(`the service, with ${what}`, async (t) => {
    const db = await hostileDatabase(t, settings)
    // As on the command line: no Redis, the service's own namespace.
    const { app, clock, settings: env } = await freshApp(t, { REDIS_URL: '', EVENTS_DAYS: '5' }, { db, namespace: 'countersign' })
    const isNow = async (time: string | number, why: string) => {
      t.ok(Math.abs(new Date(time).getTime() - (await clock.now()).getTime()) < 600_000, `${why}: ${time}`)
    }

    const ada = await signUp(app)
    await ada.enrol()
    const again = ada.elsewhere()
    expect(200, await again.login())
    expect(403, await again.request('GET', '/session'))
    expect(200, await again.verify())
    expect(200, await again.request('GET', '/session'))
    const answers = await Promise.all(Array.from({ length: 6 }, () => again.elsewhere().login()))
    t.same(answers.map(({ statusCode }) => statusCode), Array(6).fill(200), 'six log-ins at once')
    expect(200, await again.refreshTokens())
    await isNow(Number(again.claims()['iat']) * 1000, 'the token')
    await isNow((await again.request('GET', '/account')).json().updatedAt, 'the account')
    await isNow((await again.request('GET', '/totp/devices')).json()[0].createdAt, 'the device')
    const sessions = (await again.request('GET', '/account/sessions')).json()
    t.equal(sessions.length, 8)
    await isNow(sessions[0].startedAt, 'the session')
    const first = (await again.request('GET', '/account/security-events?limit=3')).json()
    const second = (await again.request('GET', `/account/security-events?limit=100&cursor=${first.nextCursor}`)).json()
    const ids = [...first.events, ...second.events].map(({ id }: { id: string }) => id)
    t.ok(ids.length > 8)
    t.equal(new Set(ids).size, ids.length, 'no event twice')
    await isNow(first.events[0].at, 'the event')

    const grace = await staffAt({ app, db })
    const found = (await grace.request('GET', '/admin/users?query=ada')).json()
    await isNow(found.users[0].createdAt, 'the user in the list of staff')
    await isNow((await grace.request('GET', `/admin/users/${userId(ada)}`)).json().updatedAt, 'the user before staff')
    const config = readConfig(env)
    const reset = await worked((io) => resetOtpCommand(io, config, 'ada', { reason: 'lost' }), '', true)
    t.ok(new Date(JSON.parse(reset.stdout).expiresAt) > await clock.now(), 'the set-up code')
    t.match(await worked((io) => otpStatusCommand(io, config, 'ada')), { code: 0, stdout: /reset: waits for a set-up code, good until 20/ })
    t.match(await worked((io) => listUsersCommand(io, config)), { code: 0, stdout: /ada .* 20\d\d-\d\d-\d\d\n/ })

    const dump = await djangoDump(t)
    const name = new URL(dump.url).pathname.slice(1)
    for (const setting of settings) await dump.query(`alter database ${name} set ${setting}`)
    t.match((await bringOver(app, dump.url)).report.users, { found: 14, brought: 14 })
    const times = await db.query<{ at: number }>('select extract(epoch from created_at)::float8 as at from account order by username')
    t.same(times.filter(({ at }) => !(at > 1e9 && at < 3e9)), [], 'the times that were brought over')

    await clock.advance(8 * DAY_SECONDS)
    const deleted = await cleanUp(insideOf(app).db, 5)
    t.ok(deleted.rowsByKind['sessions']! >= 8 && deleted.rowsByKind['events']! > 10, 'old rows are removed')
    t.equal(app.countersign.isReady(), true)
  })

  // A host keeps its own time limits.
  if (what === 'short times') continue
  for (const kind of sized([KINDS[i % KINDS.length]!], KINDS)) {
    t.test(`a host's ${kind}, with ${what}`, async (t) => {
      const db = await hostileDatabase(t, settings)
      await livesAtHost(t, await hostOn(t, kind, db.url), db.clock)
    })
  }
}
