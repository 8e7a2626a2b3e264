import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { fromHeaders } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'
import { plainHost } from '../helpers/plain-host.js'

/*
 * Our routes asked `identify` in `onRequest`. A host finds its user later: @fastify/passport in `preValidation`, and many hosts in a
 * `preHandler` hook for the whole app. Its own guarded routes worked, ours answered 401.
 */

await need('postgres')

type Found = FastifyRequest & { found: unknown }

for (const phase of ['onRequest', 'preValidation', 'preHandler'] as const) {
  t.test(`a user that the host finds in ${phase} has a second factor on each of our routes`, async (t) => {
    const host = await plainHost(t, {
      options: { identify: (request) => (request as Found).found as ReturnType<typeof fromHeaders.identify> },
      before (app) {
        app.decorateRequest('found', null)
        app.addHook(phase as 'preHandler', async (request) => { (request as Found).found = fromHeaders.identify(request) })
      },
      after (app) { app.get('/invoices', { preHandler: app.otpVerified }, async () => ({})) }
    })
    const { verified, recoveryCodes } = await host.enrol('ada')
    const stranger = { user: 'ada', session: 'another' }
    t.equal(outcome(await host.ask(verified, 'GET', '/invoices')), '200')
    t.equal(outcome(await host.ask(stranger, 'GET', '/invoices')), '403 OTP_REQUIRED')
    t.equal(outcome(await host.ask(verified, 'GET', '/totp/devices')), '200')
    t.equal(outcome(await host.ask(stranger, 'DELETE', '/totp/delete')), '403 OTP_REQUIRED')
    t.equal(outcome(await host.ask(stranger, 'POST', '/totp/recovery_code/login', { token: recoveryCodes[0]! })), '200')
    t.equal(outcome(await host.ask(verified, 'DELETE', '/totp/delete')), '200')
    t.equal(outcome(await host.app.inject('/totp/status')), '401 TOKEN_INVALID')
  })
}
