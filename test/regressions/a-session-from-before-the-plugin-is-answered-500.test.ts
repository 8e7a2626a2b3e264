import t from 'tap'
import type { Identity } from '../../plugins/countersign.js'
import { outcome } from '../helpers/answers.js'
import { need } from '../helpers/need.js'
import { plainHost } from '../helpers/plain-host.js'

/*
 * A host that attaches the plugin has sessions and tokens without a `sid`. Each request of one was answered 500, with a stack in the
 * log, until its user logged in again. A host that wrote `String(claims.sid)` had one session "undefined" for all of them.
 */

await need('postgres')

const withoutId: ReadonlyArray<readonly [string, Identity['sessionId']]> = [
  ['undefined', undefined], ['null', null], ['an empty text', ''],
  ['the text of undefined', String(undefined)], ['the text of null', String(null)]
]

let answered: () => unknown
const { app, lines, db } = await plainHost(t, {
  options: { identify: () => answered() as Identity },
  after (app) { app.get('/invoices', { preHandler: app.otpVerified }, async () => ({})) }
})
const routes = [['GET', '/invoices'], ['GET', '/totp/status'], ['POST', '/totp/create'], ['DELETE', '/totp/delete']] as const

t.test('T9 a session without an id is answered 401, with one warning', async (t) => {
  for (const [text, sessionId] of withoutId) {
    for (const identity of [{ userId: 'ada', sessionId }, Promise.resolve({ userId: 'ada', sessionId })]) {
      answered = () => identity
      for (const [method, url] of routes) {
        t.equal(outcome(await app.inject({ method, url })), '401 TOKEN_INVALID', `${text}: ${method} ${url}`)
      }
    }
  }
  t.equal(lines.filter((line) => line.includes('sessionId')).length, 1, lines.join(''))
  t.same(await db.query('select id from countersign.otp_session'), [])
})

t.test('an identity by any thenable is awaited: builders of queries are no promises', async (t) => {
  const identity = { userId: 'ada', sessionId: 'one' }
  answered = () => ({ then: (resolve: (identity: unknown) => void) => { resolve(identity) } })
  t.equal(outcome(await app.inject('/invoices')), '200')
  answered = () => ({ then: (resolve: (identity: unknown) => void) => { resolve(null) } })
  t.equal(outcome(await app.inject('/invoices')), '401 TOKEN_INVALID')
  answered = () => ({ then: (_: unknown, reject: (reason: unknown) => void) => { reject(undefined) } })
  t.equal(outcome(await app.inject('/invoices')), '401 TOKEN_INVALID')
})
