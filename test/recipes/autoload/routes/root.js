import { randomUUID } from 'node:crypto'
import { otpVerified } from 'countersign'

export default async function (app) {
  app.post('/login', async ({ body: { name } }) => {
    // A real app checks the password here.
    return { token: app.jwt.sign({ sub: name, sid: randomUUID(), auth_time: Math.floor(Date.now() / 1000) }) }
  })
  app.get('/invoices', { preHandler: otpVerified() }, async () => ({}))
  app.get('/payroll', { preHandler: otpVerified({ required: true }) }, async () => ({}))
}
