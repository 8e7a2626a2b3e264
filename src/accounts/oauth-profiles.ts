import { randomUUID } from 'node:crypto'
import { Refusal } from '../core/refusals.js'
import type { Seal } from '../core/keys/seal.js'
import type { Requester } from '../core/session.js'
import { deleteOauthProfile, insertOauthProfile, type OauthProfile } from './oauth-profile-statements.js'
import type { Db } from '../tables/db.js'
import type { Sessions } from '../sessions/liveness.js'
import { sessionEnded } from '../sessions/session-ended.js'

export interface OauthProfileDeps { db: Db, seal: Seal, sessions: Sessions }

export interface OauthProfileRequest { oauthServiceName: string, oauthUrl: string, oauthCredentials: string }

/** Links an external account. Its credentials are sealed here, and no request opens them. */
export async function addOauthProfile (deps: OauthProfileDeps, requester: Requester, request: OauthProfileRequest): Promise<OauthProfile> {
  const { db, seal } = deps
  const id = randomUUID()
  const added = await insertOauthProfile(db, requester, {
    id,
    serviceName: request.oauthServiceName,
    url: request.oauthUrl,
    sealedCredentials: seal.seal(Buffer.from(request.oauthCredentials), profilePlace(requester.context.userId, id))
  })
  switch (added.outcome) {
    case 'session_ended': throw sessionEnded(deps, requester)
    case 'too_many': throw new Refusal('OAUTH_PROFILE_LIMIT')
    case 'added': return added.profile
  }
}

export async function removeOauthProfile (deps: OauthProfileDeps, requester: Requester, id: string): Promise<void> {
  switch (await deleteOauthProfile(deps.db, requester, id)) {
    case 'session_ended': throw sessionEnded(deps, requester)
    case 'not_found': throw new Refusal('NOT_FOUND')
    case 'deleted':
  }
}

/** Returns the context that the credentials of a row are sealed for. */
export function profilePlace (userId: string, id: string) {
  return { table: 'account_oauth_profile', row: id, userId }
}
