import { demandOf } from '../core/assurance.js'
import { bearerOf, forwardedFor, refusalAnswer, type AccessClaims, type AskedRequest, type Client, type Demand } from './index.js'

/** `HttpException` of `@nestjs/common`. */
type Exception = new (body: object, status: number, options: { cause?: unknown }) => Error

interface Context { switchToHttp (): { getRequest (): any, getResponse (): any } }
interface Request { headers: { authorization?: string }, countersign: Readonly<AccessClaims> }

/**
 * Makes guard classes of NestJS: `const Guard = guards(client, HttpException)`, then `@UseGuards(Guard({ maxAge: 300 }))`. The handler
 * reads `request.countersign.sub`. A refusal is thrown as an `HttpException`, so that exception filters see it.
 */
export function guards (client: Pick<Client, 'verify'>, HttpException: Exception) {
  /** @throws {TypeError} if the demand is misspelt */
  return (...given: [demand?: Demand]) => guardClass(client, HttpException, demandOf(given, 'Guard'))
}

function guardClass (client: Pick<Client, 'verify'>, HttpException: Exception, demand: Demand | undefined) {
  return class CountersignGuard {
    async canActivate (context: Context): Promise<boolean> {
      const http = context.switchToHttp()
      const request = http.getRequest() as Request & AskedRequest
      try {
        request.countersign = await client.verify(bearerOf(request.headers.authorization), demand, forwardedFor(request))
        return true
      } catch (error) {
        const answer = refusalAnswer(error)
        if (answer === undefined) throw error
        for (const [name, value] of Object.entries(answer.headers)) http.getResponse().header(name, value)
        throw new HttpException(answer.body, answer.status, { cause: error })
      }
    }
  }
}
