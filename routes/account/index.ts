import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { AccountDeps } from '../../src/accounts/account.js'
import type { OauthProfileDeps } from '../../src/accounts/oauth-profiles.js'
import type { SessionListDeps } from '../../src/sessions/end.js'
import { guarded } from '../guarded.js'
import oauthProfileRoutes from './oauth-profiles.js'
import profileRoutes from './profile.js'
import securityEventRoutes from './security-events.js'
import sessionListRoutes from './sessions.js'

export type AccountRoutesOptions = AccountDeps & OauthProfileDeps & SessionListDeps

/** The user's own account. */
const accountRoutes: FastifyPluginAsyncTypebox<AccountRoutesOptions> = async (app, deps) => {
  guarded(app, app.otpVerified)
  const fresh = app.otpVerified({ maxAge: deps.freshSeconds })
  await app.register(profileRoutes, { ...deps, prefix: '', fresh })
  await app.register(oauthProfileRoutes, { ...deps, prefix: '/oauth-profiles', fresh })
  await app.register(sessionListRoutes, { ...deps, prefix: '/sessions', fresh })
  await app.register(securityEventRoutes, { ...deps, prefix: '/security-events' })
}

export default accountRoutes
