import createClient from 'openapi-fetch'
import type { components, paths } from './openapi-typescript/schema.js'
import { run, unexpected, type GeneratedClient } from './flow.js'

type Refusal = components['schemas']['Refusal']

const bearer = (access: string) => ({ headers: { authorization: `Bearer ${access}` } })

function connect (baseUrl: string): GeneratedClient {
  const client = createClient<paths>({ baseUrl })
  return {
    async signUp (body) {
      const { error } = await client.POST('/users', { body })
      if (error !== undefined) unexpected(error)
    },
    async logIn (body) {
      const { data, error } = await client.POST('/token', { body })
      return data ?? unexpected(error)
    },
    async refusedLogIn (body) {
      const { error } = await client.POST('/token', { body })
      const refusal: Refusal = error ?? unexpected('tokens')
      return refusal.code
    },
    async createTotp (access) {
      const { data, error } = await client.POST('/totp/create', bearer(access))
      return data ?? unexpected(error)
    },
    async verifyTotp (access, token) {
      const { data, error } = await client.POST('/totp/login', { body: { token }, ...bearer(access) })
      return data ?? unexpected(error)
    },
    async checkSession (access) {
      const { data, error } = await client.GET('/session', bearer(access))
      return data?.userId ?? error?.code ?? unexpected('nothing')
    },
    async refreshTokens (refresh) {
      const { data, error } = await client.POST('/token/refresh', { body: { refresh } })
      return data ?? unexpected(error)
    },
    async logOut (access) {
      const { error } = await client.POST('/token/revoke', bearer(access))
      if (error !== undefined) unexpected(error)
    }
  }
}

await run(connect)
