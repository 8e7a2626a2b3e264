import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import countersign, { otpVerified } from 'countersign'
import { authenticator, memoryDatabase } from 'countersign/testing'
import Fastify from 'fastify'

const memory = await memoryDatabase()

// Replace this by your own: the headers name the user and the session, which logged in just now.
const loggedInAt = Math.floor((await memory.now()).getTime() / 1000)
const app = Fastify()
await app.register(countersign, {
  issuer: 'Acme',
  sealKeys: `test:${Buffer.from(randomUUID()).toString('base64url')}`,
  database: memory.database,
  identify: ({ headers: { user, session } }) => user === undefined ? null : { userId: user, sessionId: session, authTime: loggedInAt },
  label: (userId) => userId,
  complete: (request, reply, { sessionId }) => ({ sessionId, answer: { session: sessionId } })
})
app.get('/invoices', { preHandler: otpVerified() }, async () => ({}))
after(() => Promise.all([app.close(), memory.close()]))

const ask = (session, method, url, payload) => app.inject({ method, url, headers: { user: 'ada', session }, payload })

test('a code opens what is guarded', async () => {
  const { otpUrl } = (await ask('first', 'POST', '/totp/create')).json()
  const phone = authenticator(otpUrl)
  assert.equal((await ask('first', 'POST', '/totp/login', { token: phone.code(await memory.now()) })).statusCode, 200)
  assert.equal((await ask('second', 'GET', '/invoices')).statusCode, 403)

  await memory.advance(30, app.countersign)     // the next code, without waiting for it
  const verified = await ask('second', 'POST', '/totp/login', { token: phone.code(await memory.now()) })
  assert.equal((await ask(verified.json().session, 'GET', '/invoices')).statusCode, 200)
})
