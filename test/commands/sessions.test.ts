import t from 'tap'
import { endSessionsCommand, listSessionsCommand } from '../../src/commands/sessions.js'
import { readConfig } from '../../src/config/config.js'
import { freshApp } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { command, worked } from '../helpers/command.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'
import { idOf } from '../helpers/staff.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const shared = await freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
const replica = await shared.another()
const config = readConfig(shared.settings)

const sidOf = (person: Person) => String(person.claims()['sid'])
const statuses = async (people: Person[]) =>
  await Promise.all(people.map(async (person) => (await person.request('GET', '/totp/status')).statusCode))
const end = async (username: string | undefined, options: { session?: string, all?: boolean } = {}) =>
  JSON.parse((await worked((io) => endSessionsCommand(io, config, username, options), '', true)).stdout)

t.test('sessions list and end: all of a user, or one, and both replicas refuse it within a second', async (t) => {
  const { app, settings, db } = await emptied(shared)
  const ada = await (await signUp(app)).enrol()
  const [one, two] = await sessionsOf(ada, 2, [app, replica])
  const listed = await command(['sessions', 'list', 'ADA'], settings)
  t.match(listed, { code: 0, stdout: /^session +address +browser +started +last seen +verified\n/ })
  for (const person of [ada, one!, two!]) t.match(listed.stdout, new RegExp(`^${sidOf(person)} `, 'm'))
  const { stdout } = await worked((io) => listSessionsCommand(io, config, 'ada'), '', true)
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line))
  t.same(lines.map(({ isVerified }) => isVerified).sort(), [false, false, true])

  const endTwo = async () => await command(['sessions', 'end', 'ada', '--session', sidOf(two!)], settings)
  t.match(await endTwo(), { code: 0, stdout: `Ended the session ${sidOf(two!)} of ada.\n` })
  const startedAtMs = performance.now()
  await until('the other replica to refuse it', async () => (await statuses([two!]))[0] === 401, 1_000)
  t.ok(performance.now() - startedAtMs < 1_000)
  t.same(await statuses([ada, one!]), [200, 200])
  t.match(await endTwo(), { code: 1, stdout: '', stderr: 'This user has no such session.\n' })
  for (const session of ['', 'x', '%', sidOf(ada).toUpperCase()]) await t.rejects(end('ada', { session }), { name: 'CommandError' })
  t.same(await end('ada'), { id: idOf(ada), endedSessions: 2 })
  await until('both to refuse it', async () => (await statuses([ada, one!])).every((status) => status === 401), 1_000)
  t.same(await end('ada'), { id: idOf(ada), endedSessions: 0 })
  const log = await db.query("select detail, actor_id from otp_event where kind = 'session_ended_by_staff' order by at")
  t.same(log, [{ detail: sidOf(two!), actor_id: 'command line' }, { detail: 'all: 2', actor_id: 'command line' }])
  await t.rejects(end('linus'), { name: 'CommandError' })
})

t.test('what is typed wrong ends nothing and exits with 2', async (t) => {
  const { app, settings } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  const one = ['--session', sidOf(ada)]
  for (const args of [[], ['ada', '--all'], one, ['--all', ...one], ['ada', 'grace'], ['--all=yes']]) {
    t.match(await command(['sessions', 'end', ...args], settings), { code: 2, stdout: '' }, args.join(' '))
  }
  t.match(JSON.parse((await command(['sessions', 'end', '--json'], settings)).stderr), { error: { command: 'end' } })
  t.same(await statuses([ada]), [200])
})

t.test('J5 sessions end --all: every session of every user by one row, while both replicas serve', async (t) => {
  const { app, db, settings } = await emptied(shared)
  const people: Person[] = []
  for (let i = 0; i < 3; i++) people.push(await (await signUp(i === 1 ? replica : app, `user${i}`)).enrol())
  // More users than one page.
  await db.query(`
    insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
    select n || user_id, gen_random_uuid(), started_at, expires_at, auth_at, amr, true, rotated_at, ip, agent
    from otp_session s, generate_series(1, 2500) n where ended_at is null and user_id = $1`, [idOf(people[1]!)])
  await db.query(`
    insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
    select user_id, 'over', started_at, started_at, auth_at, amr, true, rotated_at, ip, agent from otp_session limit 1`)
  const rows = async () => await db.query('select * from otp_session order by user_id, id')
  const before = await rows()
  t.same(await statuses(people), [200, 200, 200])
  const ended = JSON.parse((await command(['sessions', 'end', '--all', '--json'], settings)).stdout)
  t.same(ended, { endedSessions: 2503, users: 2503 })
  await until('every replica to refuse them', async () => (await statuses(people)).every((status) => status === 401), 1_000)
  t.strictSame(await rows(), before, 'no row of a session was written')
  const log = await db.query<{ n: number, users: number }>(`
    select count(*)::int as n, count(distinct user_id)::int as users from otp_event
    where kind = 'session_ended_by_staff' and actor_id = 'command line' and detail = 'all: 1'`)
  t.same(log, [{ n: 2503, users: 2503 }])
  t.equal((await worked((io) => listSessionsCommand(io, config, 'user0'), '', true)).stdout, '')
  t.match(await command(['sessions', 'end', '--all'], settings), { code: 0, stdout: 'Ended 0 sessions of 0 users.\n' })
  for (const person of people) t.equal((await person.refreshTokens()).statusCode, 401, 'nor is one refreshed')
  for (const person of people) expect(200, await person.login())
  t.same(await statuses(people), [200, 200, 200], 'a log-in after the command is not covered')
})

t.test('two at once, while users log in and verify: nothing of before is left, each session is counted once', async (t) => {
  const { app, db } = await emptied(shared)
  const people: Person[] = []
  for (let i = 0; i < 6; i++) people.push(await (await signUp(app, `user${i}`)).enrol())
  const pending = people.map((person) => person.elsewhere(replica))
  for (const person of pending) expect(200, await person.login())
  const codes = await Promise.all(pending.map((person) => person.nextCode()))
  const [first, second, ...verified] = await Promise.all([
    end(undefined, { all: true }), end(undefined, { all: true }), ...pending.map((person, i) => person.verify(codes[i]))
  ])
  // 400: its session ended between the attempt and the commit. 503: the user's lock was held for too long.
  t.same(verified.map(({ statusCode }) => statusCode).filter((status) => ![200, 400, 401, 503].includes(status)), [])
  await until('every replica to refuse them', async () =>
    (await statuses([...people, ...pending])).every((status) => status === 401), 1_000)
  const [events] = await db.query<{ n: number }>(`
    select coalesce(sum(substr(detail, 6)::int), 0)::int as n from otp_event where kind = 'session_ended_by_staff'`)
  t.equal(first.endedSessions + second.endedSessions, events!.n)
  t.ok(events!.n >= 12)
})
