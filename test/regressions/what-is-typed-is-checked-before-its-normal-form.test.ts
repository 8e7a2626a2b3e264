import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { expect, Person, sessionsOf, signUp, userId } from '../helpers/person.js'
import { holding, phoneOf } from '../helpers/phones.js'
import { idOf, staffAt } from '../helpers/staff.js'

const fresh = await freshApp(t)
const { app, db, clock } = fresh

const inScript = (zero: number, code: string) => code.replace(/[0-9]/g, (digit) => String.fromCodePoint(zero + Number(digit)))

/** Spellings of a right code. */
const spellings: Array<[how: string, spell: (code: string) => string]> = [
  ['en dashes', (code) => code.replaceAll('-', '–')],
  ['minus signs', (code) => code.replaceAll('-', '\u2212')],
  ['full width', (code) => code.replace(/[!-~]/g, (symbol) => String.fromCodePoint(symbol.charCodeAt(0) + 0xFEE0))],
  ['zero width space', (code) => code.split('').join('\u200B')],
  ['soft hyphens, a byte order mark and marks of direction', (code) => `\uFEFF\u202A${code.replaceAll('-', '\u00AD')}\u202C\u200E`],
  ['white space of many kinds', (code) => `\u3000${code.replaceAll('-', ' \u00A0\t')}\r\n`],
  ['Arabic-Indic digits', (code) => inScript(0x0660, code)],
  ['Devanagari digits', (code) => inScript(0x0966, code)],
  ['mathematical digits', (code) => inScript(0x1D7CE, code)]
]

t.test('recovery codes and codes of an app, in the spellings of copied text', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  let codes = [...ada.recoveryCodes]
  for (const [how, spell] of [...spellings, ['a full stop at the end', (code: string) => `${code}.`] as const]) {
    if (codes.length === 0) {
      expect(200, await ada.verify())
      codes = expect(201, await ada.request('POST', '/totp/recovery_code/create')).json()
    }
    const [lost] = await sessionsOf(ada, 1)
    t.equal(outcome(await lost!.recover(spell(codes.shift()!))), '200', how)
  }
  for (const [how, spell] of spellings) {
    await clock.advance(30)
    const session = holding(ada, phoneOf(ada))
    expect(200, await session.login())
    t.equal(outcome(await session.verify(spell(await session.code()))), '200', how)
    t.equal(outcome(await session.verify(spell(await session.code()))), '400 OTP_INVALID', 'and it is used, in every spelling')
  }
})

t.test('a set-up code', async (t) => {
  const grace = await staffAt(fresh)
  const ben = await (await signUp(app, 'ben')).enrol()
  for (const [how, spell] of spellings) {
    expect(200, await grace.verify())
    const { setupCode } = expect(200, await grace.request('POST', `/admin/users/${idOf(ben)}/reset-otp`, { reason: 'Lost.' })).json<{
      setupCode: string
    }>()
    const answer = await ben.request('POST', '/token', { username: 'ben', password: ben.password, setupCode: `${spell(setupCode)}.` }, null)
    t.equal(outcome(answer), '200', how)
  }
})

t.test('a name is composed before it is checked, and found with white space around it', async (t) => {
  const decomposed = 'Nguye\u0302\u0303n'
  const body = {
    email: 'n@example.org', password: 'correct horse battery', firstName: `  ${decomposed} `, lastName: 'e\u0302\u0303'.repeat(128)
  }
  const made = expect(201, await app.inject({ method: 'POST', url: '/users', payload: { ...body, username: ` ${decomposed}\n` } })).json<{
    username: string
  }>()
  t.equal(made.username, 'Nguyễn')
  const person = new Person({ app, username: ' ｎguyễn\t', password: body.password, phone: { lastStep: 0 } })
  expect(200, await person.login())
  t.match((await person.request('GET', '/account')).json(), { firstName: 'Nguyễn', lastName: 'ễ'.repeat(128) })
  expect(200, await person.request('PATCH', '/account', { firstName: `\u3000${decomposed}` }))
  t.match((await person.request('GET', '/account')).json(), { firstName: 'Nguyễn' })
  t.equal(outcome(await app.inject({ method: 'POST', url: '/users', payload: { ...body, username: 'NGUYỄN ' } })), '409 USERNAME_TAKEN')
  t.equal(
    outcome(await app.inject({ method: 'POST', url: '/token', payload: { username: 'nguyễn', password: `${body.password} ` } })),
    '401 CREDENTIALS_INVALID',
    'a password is not trimmed'
  )
  for (const username of [
    'ada\u3164', '\u115Fada', 'ada\u200B', 'a da', ' ', '\u200B', 'x'.repeat(151), 'ada\0', 'ada\uD800', 'e\u0302\u0303'.repeat(151)
  ]) {
    t.equal(
      outcome(await app.inject({ method: 'POST', url: '/users', payload: { ...body, username } })),
      '400 REQUEST_INVALID',
      JSON.stringify(username)
    )
  }
  const longest = expect(
    201, await app.inject({ method: 'POST', url: '/users', payload: { ...body, username: 'e\u0302\u0303'.repeat(150) } })
  ).json<{ username: string }>()
  t.equal(longest.username, 'ễ'.repeat(150))
})

t.test('names that an older version kept are found as they are, and no two accounts become one', async (t) => {
  const old = await signUp(app, 'oldname')
  const namesake = await signUp(app, 'hal')
  await db.query("update account set username = 'hal ', username_key = 'hal ' where username = 'oldname'")
  const invisible = await signUp(app, 'ivy')
  await db.query("update account set username = 'i\u3164vy', username_key = 'i\u1160vy' where username = 'ivy'")
  const logIn = async (username: string, { password }: Person) =>
    outcome(await app.inject({ method: 'POST', url: '/token', payload: { username, password } }))
  t.equal(await logIn('hal ', old), '200')
  t.equal(await logIn('HAL ', old), '200')
  t.equal(await logIn('hal', namesake), '200')
  t.equal(await logIn(' hal', namesake), '200')
  t.equal(await logIn('hal', old), '401 CREDENTIALS_INVALID')
  t.equal(await logIn('i\u3164vy ', invisible), '200')

  for (let i = 0; i < 12; i++) {
    await app.inject({
      method: 'POST',
      url: '/token',
      payload: { username: `${' '.repeat(i % 4)}hal${'\u3000'.repeat(i % 3 === 1 ? 2 : 0)}`, password: 'wrong wrong' }
    })
  }
  t.equal(await logIn('hal', namesake), '429 RATE_LIMITED', 'spaces are no way to more guesses')
  t.equal(await logIn('hal ', old), '200', 'nor one to use up those at another account')
})

t.test('names of devices', async (t) => {
  const eve = await signUp(app, 'eve')
  expect(200, await eve.login())
  expect(201, await eve.create({ name: ' Te\u0301le\u0301phone ' }))
  expect(200, await eve.confirm())
  const [device] = (await eve.request('GET', '/totp/devices')).json<Array<{ id: string, name: string }>>()
  t.equal(device!.name, 'Téléphone')
  const rename = async (name: string) => await eve.request('PATCH', `/totp/devices/${device!.id}`, { name })
  t.match((await rename('Old ❤️ phone\n')).json(), { name: 'Old ❤️ phone' })
  t.match((await rename('e\u0302\u0303'.repeat(64))).json(), { name: 'ễ'.repeat(64) })
  for (const name of [' ', '\u200B', 'a\u200Bb', '\u3164', 'x'.repeat(65), 'a\0', 'a\nb', '']) {
    t.equal(outcome(await rename(name)), '400 REQUEST_INVALID', JSON.stringify(name))
  }
  t.equal(outcome(await eve.create({ name: 'a\u202Eb' })), '400 REQUEST_INVALID')
  t.same(await db.query('select count(*)::int as n from otp_device where user_id = $1', [userId(eve)]), [{ n: 1 }])
})

t.test('staff find a user by a name that was copied with white space', async (t) => {
  const mae = await staffAt(fresh, 'mae')
  for (const query of [' hal', 'ＨＡＬ', 'hal\u00A0']) {
    const { users } = (await mae.request('GET', `/admin/users?query=${encodeURIComponent(query)}`)).json<{
      users: Array<{ username: string }>
    }>()
    t.ok(users.some(({ username }) => username === 'hal'), JSON.stringify(query))
  }
  t.equal(outcome(await mae.request('GET', '/admin/users?query=%00')), '400 REQUEST_INVALID')
  t.equal(outcome(await mae.request('GET', '/admin/users?query=')), '200')
})
