import { randomUUID } from 'node:crypto'
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { need } from '../helpers/need.js'
import { operationsOf } from '../helpers/operations.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'

await need('postgres')

const shared = await freshApp(t)

const code = (answer: { json: () => { code?: string } }) => answer.json().code

const OF_A_USER = '/admin/users/{id}'
/** [method, path below /admin/users/{id}, body]: every operation on one user, from the document. */
const about = operationsOf(shared.app).filter(({ path }) => path.startsWith(OF_A_USER))
  .map(({ method, path, body }) => [method, path.slice(OF_A_USER.length).replace(/\{[^}]+\}/g, () => randomUUID()), body] as const)
const changes = about.filter(([method]) => method !== 'GET')

t.test('the walk below goes over every operation of staff', async (t) => {
  t.ok(about.length >= 13)
  for (const { path, id } of operationsOf(shared.app).filter(({ object }) => object.tags?.includes('Staff'))) {
    t.ok(path === '/admin/users' || path.startsWith(OF_A_USER), id)
  }
})

const names = (person: Person, query: string) => person.request('GET', `/admin/users?${query}`).then((answer) =>
  expect(200, answer).json<{ users: Array<{ username: string }>, nextCursor: string | null }>())

t.test('T9 for staff alone, with a second factor, and for changes a fresh one', async (t) => {
  const fresh = await emptied(shared)
  const { app, db, clock } = fresh
  const ada = await (await signUp(app)).enrol()
  const grace = await staffAt(fresh)
  const alan = await signUp(app, 'alan')
  await db.query("update account set is_staff = true where username = 'alan'")
  await alan.login()
  const all = [
    ['GET', '/admin/users', undefined],
    ...about.map(([method, path, body]) => [method, `/admin/users/${idOf(ada)}${path}`, body] as const)
  ] as const
  for (const [method, url, body] of all) {
    t.equal(
      (await app.inject({ method, url, ...(body === undefined ? {} : { payload: body }) })).statusCode, 401, `${method} ${url}: nobody`
    )
    t.equal(code(await ada.request(method, url, body)), 'STAFF_REQUIRED', `${method} ${url}: verified, not staff`)
    t.equal(code(await alan.request(method, url, body)), 'OTP_REQUIRED', `${method} ${url}: staff without a device`)
  }
  const pending = grace.elsewhere()
  await pending.login()
  t.equal(code(await pending.request('GET', '/admin/users')), 'OTP_REQUIRED', 'staff who owe a code')

  await clock.advance(400)
  await grace.refreshTokens()
  for (const [method, path, body] of changes) {
    t.equal(code(await grace.request(method, `/admin/users/${idOf(ada)}${path}`, body)), 'OTP_STALE', `${method} ${path}`)
  }
  t.equal((await grace.request('GET', '/admin/users')).statusCode, 200, 'reading does not ask for a fresh one')

  await db.query("update account set is_staff = false where username = 'grace'")
  t.equal(code(await grace.request('GET', '/admin/users')), 'STAFF_REQUIRED', 'who is not staff any more is not at once')
})

t.test('E6 an id that is nobody\'s is 404, and leaves no row behind', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const id = randomUUID()
  for (const [method, path, body] of about) {
    const answer = await grace.request(method, `/admin/users/${id}${path}`, body)
    t.equal(answer.statusCode, 404, `${method} ${path}`)
    t.equal(code(answer), 'NOT_FOUND')
    t.equal((await grace.request(method, `/admin/users/ada${path}`, body)).statusCode, 400, 'what is no id')
  }
  t.same(await fresh.db.query('select user_id from otp_user where user_id = $1', [id]), [])
  t.same(await fresh.db.query("select kind from otp_event where user_id = $1 or detail like '%' || $1 || '%'", [id]), [])
})

t.test('users are found by how their name begins, whatever its case, and nothing is a pattern', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  for (const name of ['Ada', 'adam', 'a_a', 'ADELE', 'bob', 'Émile', 'zoe+x']) await signUp(fresh.app, name)
  const found = async (query: string) => (await names(grace, `query=${encodeURIComponent(query)}`)).users.map(({ username }) => username)
  t.same(await found('ad'), ['Ada', 'adam', 'ADELE'])
  t.same(await found('ADA'), ['Ada', 'adam'])
  t.same(await found('ａｄａ'), ['Ada', 'adam'], 'full width')
  t.same(await found('a_'), ['a_a'])
  for (const pattern of ['%', '_', 'a%', '\\', '^', '.*']) t.same(await found(pattern), [], pattern)
  t.same(await found('émi'), ['Émile'])
  t.same((await names(grace, '')).users.length, 8)

  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Awaited<ReturnType<typeof names>> = await names(grace, `limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`)
    seen.push(...page.users.map(({ username }) => username))
    cursor = page.nextCursor
    if (seen.length === 3) await signUp(fresh.app, 'a-newcomer')
  }
  t.same(seen, ['a_a', 'Ada', 'adam', 'ADELE', 'bob', 'grace', 'zoe+x', 'Émile'], 'in byte order, each once, whoever comes meanwhile')
  for (const bad of [
    'cursor=AA', 'cursor=_w', 'cursor=%00', 'limit=0', 'limit=101', 'limit=1e1', 'query=%00', 'query=a%0Ab', 'querry=a',
    'limit=1&limit=2'
  ]) {
    t.equal((await grace.request('GET', `/admin/users?${bad}`)).statusCode, 400, bad)
  }
})

t.test('users are found by their whole e-mail address, whatever the case of its letters, beside those whose name begins so', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  for (const name of ['zoe', 'ada', 'alan', 'Bob']) await signUp(fresh.app, name)
  await fresh.db.query("update account set username = 'ada@example.org', username_key = 'ada@example.org' where username = 'ada'")
  const mail = async (name: string, email: string) =>
    await fresh.db.query('update account set email = $2 where username = $1', [name, email])
  await mail('zoe', 'ADA@Example.org')
  await mail('ada@example.org', 'other@example.org')
  await mail('alan', 'ada@example.org')
  await mail('Bob', 'Grüße+x%_@example.org')
  const found = async (query: string) =>
    (await names(grace, `query=${encodeURIComponent(query)}`)).users.map(({ username }) => username)
  t.same(await found('ada@example.org'), ['ada@example.org', 'alan', 'zoe'], 'each once, in the order of their names')
  t.same(await found(' ADA@EXAMPLE.ORG '), ['ada@example.org', 'alan', 'zoe'])
  t.same(await found('grüße+X%_@example.ORG'), ['Bob'])
  for (const none of ['da@example.org', 'other@example', '%@example.org', 'ad_@example.org', '@']) t.same(await found(none), [], none)
  await mail('grace', 'ada@example.org')
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const more: string = cursor === '' ? '' : `&cursor=${cursor}`
    const page: Awaited<ReturnType<typeof names>> = await names(grace, `query=ada@example.org&limit=1${more}`)
    seen.push(...page.users.map(({ username }) => username))
    cursor = page.nextCursor
  }
  t.same(seen, ['ada@example.org', 'alan', 'grace', 'zoe'], 'page by page the same')
})

t.test('the search by name reads an index, not the table', async (t) => {
  const fresh = await emptied(shared)
  await fresh.db.query(`
    insert into account (id, username, username_key, password_hash, is_active, is_staff, email, phone, first_name, last_name, created_at,
      updated_at)
    select gen_random_uuid(), 'user' || n, 'user' || n, '', true, false, '', '', '', '', now(), now() from generate_series(1, 20000) n`)
  await fresh.db.query('analyze account')
  const plan = await fresh.db.query(
    `explain select id from account where (username_key collate "C") ^@ 'user77' and (username_key collate "C") > ''
    order by username_key collate "C" limit 21`
  )
  t.match(JSON.stringify(plan), /Index (Only )?Scan using account_username_prefix/)
})

t.test('what staff see of somebody has no secret, digest, token or hash in it', async (t) => {
  const fresh = await emptied(shared)
  const { app, db } = fresh
  const grace = await staffAt(fresh)
  const ada = await (await signUp(app)).enrol()
  const id = idOf(ada)
  await ada.request('POST', '/account/oauth-profiles', {
    oauthServiceName: 's', oauthUrl: 'https://s.example/x', oauthCredentials: 'very-secret-credentials'
  })
  const answers = await Promise.all(
    ['', '/devices', '/sessions', '/events'].map((path) => grace.request('GET', `/admin/users/${id}${path}`))
  )
  for (const answer of answers) t.equal(answer.statusCode, 200)
  const [user, devices, sessions, events] = answers.map((answer) => answer.json())
  t.match(user, {
    id,
    username: 'ada',
    isActive: true,
    isStaff: false,
    isOtpEnabled: true,
    failures: 0,
    lockedUntil: null,
    setupRequired: false,
    recoveryCodesLeft: 5,
    powerAccountId: null
  })
  t.match(devices, [{ id: ada.deviceId, name: 'Authenticator' }])
  t.equal(devices.length, 1)
  t.equal(sessions.length, 1)
  t.match(sessions, [{ isVerified: true, agent: 'lightMyRequest' }])
  t.ok(events.events.some(({ kind }: { kind: string }) => kind === 'otp_enabled'))

  const secrets = [
    ...(await db.query<{ v: string }>(`select secret as v from otp_totp union all select digest from otp_recovery_code union all
      select password_hash from account
      union all select credentials from account_oauth_profile`)).map(({ v }) => v),
    ada.access!, ada.refresh!, ...ada.recoveryCodes, 'very-secret'
  ]
  t.ok(secrets.length > 12)
  for (const secret of secrets) t.notOk(answers.some((answer) => answer.body.includes(secret)))

  const pages: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: { events: Array<{ id: string }>, nextCursor: string | null } = expect(
      200, await grace.request('GET', `/admin/users/${id}/events?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
    ).json()
    pages.push(...page.events.map((event) => event.id))
    cursor = page.nextCursor
  }
  t.same(pages, events.events.map((event: { id: string }) => event.id), 'pages of events are the whole')
})

t.test('staff set the references, the owner reads them, and both have it in their log', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await signUp(fresh.app)
  await ada.login()
  const url = `/admin/users/${idOf(ada)}`
  t.match(expect(200, await grace.request('PATCH', url, { powerAccountId: 815, powerContactId: 2147483647 })).json(), {
    powerAccountId: 815, powerContactId: 2147483647
  })
  expect(200, await grace.request('PATCH', url, { powerContactId: null }))
  t.match((await ada.request('GET', '/account')).json(), { powerAccountId: 815, powerContactId: null })
  for (const bad of [
    {}, { powerAccountId: '815' }, { powerAccountId: 0 }, { powerAccountId: 2147483648 }, { powerAccountId: 1.5 },
    { email: 'x@y.z' }, { isStaff: true }, []
  ]) {
    t.equal((await grace.request('PATCH', url, bad)).statusCode, 400, JSON.stringify(bad))
  }
  t.equal((await ada.request('PATCH', '/account', { powerAccountId: 1 })).statusCode, 400, 'not the owner\'s to set')
  const log = await fresh.db.query(
    'select user_id, kind, actor_id, detail, ip from otp_event where kind in ($1, $2) order by at, kind',
    ['references_changed', 'staff_acted']
  )
  const [first, told] = log
  t.match(first, {
    user_id: idOf(ada),
    kind: 'references_changed',
    actor_id: idOf(grace),
    detail: 'powerAccountId 815, powerContactId 2147483647',
    ip: ''
  })
  t.match(told, {
    user_id: idOf(grace),
    kind: 'staff_acted',
    detail: `references_changed ${idOf(ada)}: powerAccountId 815, powerContactId 2147483647`,
    ip: '127.0.0.1'
  })
  t.equal(log.length, 4)
})

t.test('L3 strangers are counted before anybody looks at their token', async (t) => {
  const app = await shared.another({ NETWORK_LIMITS: 'on' })
  const statuses: number[] = []
  for (let i = 0; i < 601; i++) {
    statuses.push((await app.inject({ url: '/admin/users', headers: { authorization: 'Bearer a.b.c' } })).statusCode)
  }
  t.equal(statuses.filter((status) => status === 401).length, 600)
  t.equal(statuses.at(-1), 429)
})
