import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createBreachedPasswords } from '../../src/accounts/breached-passwords.js'
import { passwordRuleOf } from '../../src/accounts/password-rule.js'
import { createCounters } from '../../src/core/counters.js'
import { freshApp } from '../helpers/app.js'

const digestOf = (password: string): string => createHash('sha1').update(password).digest('hex').toUpperCase()
const BREACHED = 'a breached password'
const SUFFIX = digestOf(BREACHED).slice(5)
const PADDING = `${'0'.repeat(35)}:0`

type Answer = (request: IncomingMessage, response: ServerResponse) => void
const rows = (...lines: string[]): Answer => (_request, response) => { response.end(lines.join('\r\n')) }

/** Starts a range service on the loopback address. `answers.next` answers from then on. */
async function rangeService (t: Test, answer: Answer) {
  const answers = { next: answer }
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    answers.next(request, response)
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { answers, requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/range` }
}

function asking (url: string) {
  const counters = createCounters()
  const faults: unknown[] = []
  const isBreached = createBreachedPasswords({ url, counters, report: (fault) => { faults.push(fault) } })
  const outcomes = () => Object.fromEntries(counters.read('password_checks_total').map(({ labels, value }) => [labels['outcome'], value]))
  return { isBreached, faults, outcomes }
}

t.test('P1 the service gets five digits and asks for padding, and nothing else of the password', async (t) => {
  const { url, requests } = await rangeService(t, rows('0'.repeat(35) + ':3', `${SUFFIX}:17`))
  const { isBreached, outcomes } = asking(`${url}/`)
  t.equal(await isBreached(BREACHED), true)
  t.equal(await isBreached('another password'), false)
  t.equal(requests[0]!.url, `/range/${digestOf(BREACHED).slice(0, 5)}`)
  t.equal(requests[0]!.headers['add-padding'], 'true')
  t.notMatch(JSON.stringify([requests[0]!.url, requests[0]!.headers]).toUpperCase(), SUFFIX)
  t.same(outcomes(), { breached: 1, not_found: 1 })
})

/** [answer, true if the password counts as breached] */
const answers: ReadonlyArray<readonly [string, Answer, boolean]> = [
  ['found', rows(PADDING, `${SUFFIX}:1`), true],
  ['in small letters and with line feeds', (_request, response) => { response.end(`${PADDING}\n${SUFFIX.toLowerCase()}:2\n`) }, true],
  ['a row of padding with this suffix', rows(`${SUFFIX}:0`), false],
  ['a row without a count', rows(SUFFIX, `${SUFFIX}:`, `${SUFFIX}:many`), false],
  ['empty', rows(), false]
]

t.test('P1 rows of count 0 are padding', async (t) => {
  for (const [name, answer, expected] of answers) {
    const { url } = await rangeService(t, answer)
    t.equal(await asking(url).isBreached(BREACHED), expected, name)
  }
})

/** Answers of a service that is not to be believed. */
const failing: ReadonlyArray<readonly [string, (found: string) => Answer]> = [
  ['an error', (found) => (_request, response) => { response.writeHead(503).end(found) }],
  ['a redirect to an answer', (found) => (request, response) => {
    if (request.url === '/elsewhere') response.end(found)
    else response.writeHead(302, { location: '/elsewhere' }).end()
  }],
  ['too much', (found) => (_request, response) => { response.end(`${found}\r\n${'x'.repeat(1_100_000)}`) }],
  ['a cut connection', () => (request) => { request.socket.destroy() }],
  ['silence', () => () => {}]
]

t.test('P1 without an answer in a second the password is accepted, counted, and reported once', async (t) => {
  for (const [name, answer] of failing) {
    const { url, answers } = await rangeService(t, answer(`${SUFFIX}:9`))
    const { isBreached, faults, outcomes } = asking(url)
    t.equal(await isBreached(BREACHED), false, name)
    t.equal(await isBreached(BREACHED), false, name)
    t.same(outcomes(), { unavailable: 2 }, name)
    t.equal(faults.length, 1, name)
    answers.next = rows(`${SUFFIX}:9`)
    t.equal(await isBreached(BREACHED), true, `${name}: asked again the next time`)
    answers.next = answer('')
    await isBreached(BREACHED)
    t.equal(faults.length, 2, `${name}: reported again after an answer`)
  }
})

t.test('P1 refused at the sign-up and at a change of the password, before it is hashed; a log-in asks nothing', async (t) => {
  const { url, requests } = await rangeService(t, rows(`${SUFFIX}:17`))
  const { app } = await freshApp(t, { BREACHED_PASSWORDS_URL: url, OTP_ISSUER: 'Example Bank' })
  const register = async (username: string, password: string) => await app.inject({
    method: 'POST', url: '/users', payload: { username, email: 'x@example.org', password, firstName: 'Lovelace' }
  })
  const refused = (reason: string) => ({ statusCode: 400, code: 'PASSWORD_UNACCEPTABLE', reason })
  t.match((await register('ada', BREACHED)).json(), refused('breached'))
  t.match((await register('ada', 'Lovelace-1815')).json(), refused('context_words'))
  t.match((await register('ada', 'example bank!')).json(), refused('context_words'))
  t.match((await register('ada', 'short')).json(), refused('too_short'))
  t.equal(requests.length, 1, 'a password that is refused anyway is not looked up')
  t.equal((await register('ada', 'another password')).statusCode, 201)
  const asked = requests.length
  const { access } = (await app.inject({
    method: 'POST', url: '/token', payload: { username: 'ada', password: 'another password' }
  })).json<{ access: string }>()
  t.equal(requests.length, asked)
  const change = await app.inject({
    method: 'POST',
    url: '/account/password',
    headers: { authorization: `Bearer ${access}` },
    payload: { current: 'another password', next: BREACHED }
  })
  t.match(change.json(), refused('breached'))
  t.match((await app.inject('/metrics')).body, /password_checks_total\{outcome="breached"\} 2/)
})

t.test('P1 the context words are the product, the issuer and the labels of the domain', async (t) => {
  const settings = {
    passwordMinLength: 8, otpIssuer: 'Example Bank', publicUrl: 'https://login.sparrow.example/otp', passkeyRpId: 'finch.example'
  }
  const { words, isBreached } = passwordRuleOf(settings, createCounters(), () => {})
  t.same(words, ['countersign', 'Example Bank', 'Example', 'Bank', 'sparrow', 'example', 'finch'])
  t.equal(isBreached, null)
})
