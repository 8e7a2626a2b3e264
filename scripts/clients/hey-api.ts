import { checkSession, createTotp, logIn, logOut, refreshTokens, signUp, verifyTotp } from './hey-api/index.js'
import { client } from './hey-api/client.gen.js'
import type { Refusal } from './hey-api/index.js'
import { run, unexpected, type GeneratedClient } from './flow.js'

function connect (baseUrl: string): GeneratedClient {
  client.setConfig({ baseUrl })
  return {
    async signUp (body) {
      const { error } = await signUp({ body })
      if (error !== undefined) unexpected(error)
    },
    async logIn (body) {
      const { data, error } = await logIn({ body })
      return data ?? unexpected(error)
    },
    async refusedLogIn (body) {
      const { error } = await logIn({ body })
      const refusal: Refusal = error ?? unexpected('tokens')
      return refusal.code
    },
    async createTotp (auth) {
      const { data, error } = await createTotp({ auth })
      return data ?? unexpected(error)
    },
    async verifyTotp (auth, token) {
      const { data, error } = await verifyTotp({ auth, body: { token } })
      return data ?? unexpected(error)
    },
    async checkSession (auth) {
      const { data, error } = await checkSession({ auth })
      return data?.userId ?? error?.code ?? unexpected('nothing')
    },
    async refreshTokens (refresh) {
      const { data, error } = await refreshTokens({ body: { refresh } })
      return data ?? unexpected(error)
    },
    async logOut (auth) {
      const { error } = await logOut({ auth })
      if (error !== undefined) unexpected(error)
    }
  }
}

await run(connect)
