import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { command } from '../helpers/command.js'
import { need } from '../helpers/need.js'
import { operationsOf, type Operation } from '../helpers/operations.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { serviceTest } from '../helpers/service-test.js'
import { idOf, staffAt } from '../helpers/staff.js'

await need('postgres')

// As in a process of the command line: the service's own namespace, no Redis.
const { app, db, settings } = await freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
const staff = operationsOf(app).filter(({ path }) => path.startsWith('/admin/'))

const REASON = 'At the desk, with a passport.'
const sidOf = (person: Person) => String(person.claims()['sid'])

/** The command of each operation, for a person. */
const commands: Record<string, (person: Person) => string[]> = {
  findUsers: ({ username }) => ['user', 'find', username],
  getUser: ({ username }) => ['user', 'show', username],
  listUserDevices: ({ username }) => ['otp', 'status', username],
  listUserSessions: ({ username }) => ['sessions', 'list', username],
  listUserEvents: ({ username }) => ['user', 'events', username],
  changeUser: ({ username }) => ['user', 'set', username, '--power-account-id', '815', '--power-contact-id', 'none'],
  resetUserOtp: ({ username }) => ['otp', 'reset', username, '--reason', REASON],
  unlockUser: ({ username }) => ['user', 'unlock', username],
  deactivateUser: ({ username }) => ['user', 'deactivate', username, '--reason', REASON],
  reactivateUser: ({ username }) => ['user', 'reactivate', username, '--reason', REASON],
  resumeUserMail: ({ username }) => ['user', 'resume-mail', username, '--reason', REASON],
  promoteUser: ({ username }) => ['user', 'promote', username, '--reason', REASON],
  demoteUser: ({ username }) => ['user', 'demote', username, '--reason', REASON],
  endUserSessions: ({ username }) => ['sessions', 'end', username],
  endUserSession: (person) => ['sessions', 'end', person.username, '--session', sidOf(person)]
}

/** SQL that prepares the user, so that the operation changes something. */
const before: Record<string, string> = {
  unlockUser: 'update otp_user set failures = 7 where user_id = $1',
  resumeUserMail: 'update account set email_stopped_at = now(), password_links_stopped_at = now() where id = $1::uuid',
  reactivateUser: 'update account set is_active = false where id = $1::uuid',
  demoteUser: 'update account set is_staff = true where id = $1::uuid'
}

const run = async (person: Person, id: string) => await command([...commands[id]!(person), '--json'], settings)
const urlOf = ({ path }: Operation, person: Person) => path.replace('{id}', idOf(person)).replace('{sessionId}', sidOf(person))

/** Returns everything that an operation may change for a person, without the person's ids. */
async function state (person: Person): Promise<string> {
  const id = idOf(person)
  const found = [
    await db.query(`
      select is_active, is_staff, email_stopped_at is null as mails, password_links_stopped_at is null as links, power_account_id,
        power_contact_id from account where id = $1::uuid`, [id]),
    await db.query('select failures, setup_required, setup_digest is null as none, version from otp_user where user_id = $1', [id]),
    await db.query('select count(*)::int as devices from otp_device where user_id = $1', [id]),
    await db.query('select end_reason, count(*)::int as sessions from otp_session where user_id = $1 group by 1 order by 1', [id]),
    await db.query(`
      select kind, session_id is null as nowhere, ip, agent, detail from otp_event
      where user_id = $1 and actor_id is not null order by at, id`, [id])
  ]
  return JSON.stringify(found).replaceAll(id, 'ID').replaceAll(sidOf(person), 'SID')
}

serviceTest('each operation of staff has a command', async (t) => {
  t.same(Object.keys(commands).sort(), staff.map(({ id }) => id).sort())
})

serviceTest('E5 each change does the same, and leaves the same event with its actor', async (t) => {
  const grace = await staffAt({ app, db })
  for (const [i, operation] of staff.filter(({ method }) => method !== 'GET').entries()) {
    const { id, method, body } = operation
    const [here, there] = [await (await signUp(app, `here${i}`)).enrol(), await (await signUp(app, `there${i}`)).enrol()]
    if (before[id] !== undefined) for (const person of [here, there]) await db.query(before[id], [idOf(person)])
    t.equal(await state(there), await state(here), `${id}: alike before`)
    const unchanged = await state(here)
    expect(200, await grace.verify())
    const sent = body === undefined || !('reason' in body) ? body : { ...body, reason: REASON }
    const answer = await grace.request(method, urlOf(operation, here), sent ?? undefined)
    t.ok([200, 204].includes(answer.statusCode), `${id}: ${answer.body}`)
    const { code, stdout, stderr } = await run(there, id)
    t.equal(code, 0, `${id}: ${stderr}`)
    t.equal(JSON.parse(stdout).id, idOf(there), `${id}: JSON`)
    t.equal(await state(there), await state(here), id)
    t.not(await state(here), unchanged, `${id} changes something`)
    const actors = await db.query<{ actor_id: string }>(
      'select actor_id from otp_event where user_id = any($1) and actor_id is not null order by at', [[idOf(here), idOf(there)]])
    t.same(actors.map(({ actor_id: actor }) => actor), [idOf(grace), 'command line'], `${id}: the actor`)
  }
})

serviceTest('a command shows the same data as the operation of staff', async (t) => {
  const grace = await staffAt({ app, db }, 'hopper')
  const ada = await (await signUp(app)).enrol()
  expect(200, await ada.elsewhere().login())
  for (const operation of staff.filter(({ method }) => method === 'GET')) {
    const { id } = operation
    const query = id === 'findUsers' ? '?query=ada' : ''
    const shown = expect(200, await grace.request('GET', `${urlOf(operation, ada)}${query}`)).json()
    const { code, stdout } = await run(ada, id)
    t.equal(code, 0, id)
    const lines = stdout.trim().split('\n').map((line) => JSON.parse(line))
    const expected = id === 'listUserDevices' ? { devices: shown } : id === 'getUser' ? shown : shown.users ?? shown.events ?? shown
    t.match(Array.isArray(expected) ? lines : lines[0], expected, id)
    if (Array.isArray(expected)) t.equal(lines.length, expected.length, id)
  }
})
