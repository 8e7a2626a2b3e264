import 'reflect-metadata'
import { randomUUID } from 'node:crypto'
import {
  Body, Catch, Controller, Delete, Get, HttpException, Module, Post, UseGuards, type ArgumentsHost, type CanActivate, type ExecutionContext
} from '@nestjs/common'
import { BaseExceptionFilter, NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import countersign, { isRefusal, type Demand } from 'countersign'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })

/** `@OtpVerified({ maxAge: 300 })` on a controller or a method. One on the controller and one on the method are both asked. */
const OtpVerified = (demand: Demand = {}) => UseGuards(new OtpGuard(demand))

class OtpGuard implements CanActivate {
  constructor (private readonly demand: Demand) {}

  async canActivate (context: ExecutionContext) {
    const request = context.switchToHttp().getRequest()
    await request.server.countersign.check(request, this.demand)
    return true
  }
}

/** Answers a refusal as an exception of Nest, on the plugin's routes too, with the code and its details in the body. */
@Catch()
class RefusalFilter extends BaseExceptionFilter {
  override catch (error: unknown, host: ArgumentsHost) {
    if (!isRefusal(error)) return super.catch(error, host)
    host.switchToHttp().getResponse().headers(error.headers)
    super.catch(new HttpException({ message: error.message, ...error.extensions, statusCode: error.statusCode }, error.statusCode), host)
  }
}

/** The token is the client's secret; `sid` is the id of the session. */
async function begin (name: string, sid: string, at: Date) {
  const token = randomUUID()
  await pool.query('insert into login (token, sid, name, at) values ($1, $2, $3, $4)', [token, sid, name, at])
  return { token }
}

@Controller()
class AppController {
  @Post('login')
  async logIn (@Body() { name }: { name: string }) {
    // A real app checks the password here.
    return await begin(name, randomUUID(), new Date())
  }

  @Get('invoices') @OtpVerified()
  invoices () { return {} }

  @Delete('invoices') @OtpVerified({ maxAge: 300 })
  deleteInvoices () { return {} }

  @Get('payroll') @OtpVerified({ required: true })
  payroll () { return {} }
}

@Module({ controllers: [AppController] })
class AppModule {}

async function bootstrap () {
  await pool.query('create table if not exists login (token text primary key, sid text not null, name text, at timestamptz not null)')
  await countersign.migrate(pool)
  const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), { logger: ['error', 'warn'] })
  app.useGlobalFilters(new RefusalFilter(app.getHttpAdapter()))
  await app.register(countersign, {
    issuer: 'Acme',
    sealKeys: process.env.SEAL_KEYS ?? '',
    database: pool,
    // Nest's guards do not run for the plugin's routes: read the credentials here, by the function that your guard calls too.
    async identify ({ headers: { authorization = '' } }) {
      const { rows: [login] } = await pool.query('select sid, name, at from login where token = $1', [authorization.replace('Bearer ', '')])
      return login && { userId: login.name, sessionId: login.sid, authTime: Math.floor(login.at.getTime() / 1000) }
    },
    label: (userId) => userId,
    complete: async (_request, _reply, { userId, sessionId, authTime }) =>
      ({ sessionId, answer: await begin(userId, sessionId, new Date(authTime * 1000)) })
  })
  await app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1')
  console.log(`listening on ${await app.getUrl()}`)
}

void bootstrap()
