import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import t from 'tap'
import { base32 } from '../../src/core/totp/totp.js'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { stepAt, totp } from '../helpers/authenticator.js'
import { doorOf } from '../helpers/door.js'
import { appAt } from '../helpers/http-client.js'
import { expect, sessionsOf, signUp, userId } from '../helpers/person.js'
import { startServer } from '../helpers/server-process.js'
import { serviceTest } from '../helpers/service-test.js'
import { freshSettings } from '../helpers/settings.js'
import { failuresOf } from '../helpers/stored.js'
import { stores } from '../helpers/stores.js'

const { redisUrl } = await stores()
const namespace = `test_${randomBytes(6).toString('hex')}`
const { app, db } = await freshApp(t, {}, { namespace })
const { isHost } = doorOf(app)

/** Returns every encoding of a secret that a program might write by mistake. */
const spellings = (secret: Buffer) => [
  secret.toString('hex'), secret.toString('base64').replace(/=+$/, ''), secret.toString('base64url'), base32(secret),
  secret.toString('latin1'), `\\x${secret.toString('hex')}`
]
const withoutHyphens = (codes: readonly string[]) => codes.flatMap((code) => [code, code.replaceAll('-', '')])
/** Six digits that are not part of a longer number. */
const holdsCode = (text: string, code: string) => new RegExp(`(?<![0-9.])${code}(?![0-9])`).test(text)

async function everythingStored (): Promise<string> {
  const tables = await db.query<{ name: string }>(
    "select table_name::text as name from information_schema.tables where table_schema in ('public', 'countersign')"
  )
  t.ok(tables.length >= 9)
  let text = ''
  for (const { name } of tables) text += JSON.stringify(await db.query(`select to_jsonb(x)::text as row from "${name}" x`))
  if (redisUrl === undefined) return text
  const redis = new Redis(redisUrl)
  for await (const keys of redis.scanStream({ match: `*${namespace}*`, count: 1000 })) {
    for (const key of keys as string[]) text += key + (await redis.dumpBuffer(key))?.toString('latin1')
  }
  redis.disconnect()
  return text
}

t.test('T6 R1 E3 no secret, code or recovery code in any table or Redis key, pending or confirmed', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  expect(201, await ada.create())
  const secret = ada.phone.secret!
  const search = async (when: string) => {
    const text = await everythingStored()
    t.ok(text.includes(userId(ada)), 'the search finds existing text')
    for (const spelling of [
      ...spellings(secret), ...withoutHyphens(ada.recoveryCodes), ada.password, ada.access!, ...(isHost ? [] : [ada.refresh!])
    ]) {
      t.notOk(text.includes(spelling), when)
    }
    for (const code of codes) t.notOk(holdsCode(text, code), when)
  }
  const codes = [await ada.wrongCode()]
  await ada.verify(codes[0])
  await search('pending')
  codes.push(await ada.nextCode())
  expect(200, await ada.confirm(codes[1]))
  codes.push(await ada.nextCode())
  expect(200, await ada.verify(codes[2]))
  const [session] = await sessionsOf(ada, 1)
  await session!.verify(codes[2])
  await session!.recover('0000-0000-0000-0000-0000-0000')
  expect(200, await session!.recover(ada.recoveryCodes[0]!))
  expect(201, await session!.request('POST', '/totp/recovery_code/create'))
  await search('confirmed, used and replaced')
})

t.test('T6 after confirmation, no answer shows the secret again', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  const [other] = await sessionsOf(eve, 1)
  const secret = eve.phone.secret!
  const bodies: string[] = []
  for (const [method, url] of [
    ['GET', '/totp/status'], ['GET', '/totp/create'], ['POST', '/totp/create'], ['DELETE', '/totp/rollback'], ['GET', '/account'],
    ['GET', '/session'], ['POST', '/totp/recovery_code/create'], ['GET', '/openapi.json']
  ] as const) {
    for (const person of [eve, other!]) bodies.push((await person.request(method, url)).body)
  }
  bodies.push((await eve.verify(await eve.wrongCode())).body, (await eve.verify()).body)
  for (const spelling of spellings(secret)) t.notOk(bodies.join('\n').includes(spelling))
})

t.test('T6 two sealed secrets swapped in the database open for neither user, and no code is accepted', async (t) => {
  const people = [await (await signUp(app, 'fay')).enrol(), await (await signUp(app, 'guy')).enrol()]
  const rows = await Promise.all(
    people.map(
      async (person) => (await db.query<{ secret: string }>('select secret from otp_totp where user_id = $1', [userId(person)]))[0]!
    )
  )
  for (const [i, person] of people.entries()) {
    await db.query('update otp_totp set secret = $2 where user_id = $1', [userId(person), rows[1 - i]!.secret])
  }
  for (const [i, person] of people.entries()) {
    const [session] = await sessionsOf(person, 1)
    for (const phone of people) {
      const answer = await session!.verify(await phone.nextCode())
      t.equal(outcome(answer), '500 INTERNAL_ERROR', 'tampering is not the user\'s fault, and is to be noticed')
      if (!isHost) t.same(Object.keys(answer.json()).sort(), ['code', 'error', 'message', 'requestId', 'statusCode'])
    }
    t.equal(session!.claims()['otp_device_id'], null)
    t.equal(await failuresOf(db, person), 0, 'no code was compared, and none is consumed')
    await db.query('update otp_totp set secret = $2 where user_id = $1', [userId(person), rows[i]!.secret])
    t.equal(outcome(await session!.verify()), '200', 'put back, it opens')
  }
})

// Only the service: a host writes its own log.
serviceTest('T6 E3 nor in a log at its most talkative', async (t) => {
  const server = startServer(t, { ...await freshSettings(t), LOG_LEVEL: 'trace' })
  const ivy = await signUp(appAt(await server.ready()), `ivy${randomBytes(4).toString('hex')}`)
  expect(200, await ivy.login())
  await ivy.elsewhere().login('a wrong password 4711')
  expect(201, await ivy.create())
  const secret = ivy.phone.secret!
  const step = stepAt(new Date())
  const codes = [totp(secret, step - 1), totp(secret, step), totp(secret, step + 9), totp(secret, step + 1)]
  const tokens: string[] = []
  for (const code of codes) {
    await ivy.verify(code)
    tokens.push(ivy.access!, ivy.refresh!)
  }
  expect(200, await ivy.recover(ivy.recoveryCodes[0]!))
  await ivy.recover('7777-7777-7777-7777-7777-7777')
  await ivy.request('POST', '/totp/login', { token: 123456, password: ivy.password })
  await ivy.refreshTokens()
  await ivy.request('GET', `/session?access_token=${ivy.access}`)
  await server.kill('SIGTERM')
  const text = server.said()
  t.match(text, /"level":30/, 'there is a log')
  for (const hidden of [
    ...spellings(secret), ...withoutHyphens(ivy.recoveryCodes), ...tokens, ivy.access!, ivy.refresh!, ivy.password,
    'a wrong password 4711', '7777-7777'
  ]) {
    t.notOk(text.includes(hidden), hidden.slice(0, 6))
  }
  for (const code of codes) t.notOk(holdsCode(text, code))
})
