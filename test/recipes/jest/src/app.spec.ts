import { randomUUID } from 'node:crypto'
import { Controller, Get, Module, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { Test } from '@nestjs/testing'
import countersign from 'countersign'
import { authenticator, memoryDatabase } from 'countersign/testing'

class OtpGuard implements CanActivate {
  async canActivate (context: ExecutionContext) {
    const request = context.switchToHttp().getRequest()
    await request.server.countersign.check(request)
    return true
  }
}

@Controller()
class AppController {
  @Get('invoices') @UseGuards(OtpGuard)
  invoices () { return {} }
}

@Module({ controllers: [AppController] })
class AppModule {}

describe('the guard', () => {
  let app: NestFastifyApplication
  let memory: Awaited<ReturnType<typeof memoryDatabase>>

  beforeAll(async () => {
    memory = await memoryDatabase()
    const authTime = Math.floor((await memory.now()).getTime() / 1000)
    const tested = await Test.createTestingModule({ imports: [AppModule] }).compile()
    app = tested.createNestApplication<NestFastifyApplication>(new FastifyAdapter())
    await app.register(countersign, {
      issuer: 'Acme',
      sealKeys: `test:${Buffer.from(randomUUID()).toString('base64url')}`,
      database: memory.database,
      identify: ({ headers: { session } }) => session === undefined ? null : { userId: 'ada', sessionId: String(session), authTime },
      label: (userId) => userId,
      complete: (_request, _reply, { sessionId }) => ({ sessionId, answer: { session: sessionId } })
    })
    await app.init()
  }, 60_000)

  afterAll(async () => {
    await app.close()
    await memory.close()
  })

  it('asks for a code', async () => {
    const ask = async (session: string, method: 'GET' | 'POST', url: string, payload?: object) =>
      await app.inject({ method, url, headers: { session }, ...(payload === undefined ? {} : { payload }) })
    const { otpUrl } = (await ask('first', 'POST', '/totp/create')).json()
    const token = authenticator(otpUrl).code(await memory.now())
    const verified = await ask('first', 'POST', '/totp/login', { token })
    expect(verified.statusCode).toBe(200)
    expect((await ask('second', 'GET', '/invoices')).statusCode).toBe(403)
    expect((await ask(verified.json().session, 'GET', '/invoices')).statusCode).toBe(200)
  })
})
