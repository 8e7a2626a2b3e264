import { checkSession, createTotp, logIn, logOut, refreshTokens, signUp, verifyTotp } from './orval/client.js'
import {
  checkSessionResponse, logInBody, logInResponse, refreshTokensBody, refreshTokensResponse, signUpBody, verifyTotpBody, verifyTotpResponse
} from './orval/zod.js'
import { run, unexpected, type GeneratedClient } from './flow.js'

const bearer = (access: string) => ({ headers: { authorization: `Bearer ${access}` } })

/** The address is in the generated functions. Requests and answers are parsed by the generated zod schemas. */
function connect (): GeneratedClient {
  return {
    async signUp (person) {
      const answer = await signUp(signUpBody.parse(person))
      if (answer.status !== 201) unexpected(answer)
    },
    async logIn (credentials) {
      const { status, data } = await logIn(logInBody.parse(credentials))
      return status === 200 ? logInResponse.parse(data) : unexpected(data)
    },
    async refusedLogIn (credentials) {
      const { status, data } = await logIn(logInBody.parse(credentials))
      return status === 401 ? data.code : unexpected(data)
    },
    async createTotp (access) {
      const { status, data } = await createTotp(undefined, bearer(access))
      return status === 201 ? data : unexpected(data)   // orval makes schemas of answers 200 alone
    },
    async verifyTotp (access, token) {
      const { status, data } = await verifyTotp(verifyTotpBody.parse({ token }), bearer(access))
      return status === 200 ? verifyTotpResponse.parse(data) : unexpected(data)
    },
    async checkSession (access) {
      const { status, data } = await checkSession(undefined, bearer(access))
      return status === 200 ? checkSessionResponse.parse(data).userId : status === 401 || status === 403 ? data.code : unexpected(data)
    },
    async refreshTokens (refresh) {
      const { status, data } = await refreshTokens(refreshTokensBody.parse({ refresh }))
      return status === 200 ? refreshTokensResponse.parse(data) : unexpected(data)
    },
    async logOut (access) {
      const answer = await logOut(bearer(access))
      if (answer.status !== 204) unexpected(answer)
    }
  }
}

await run(connect)
