import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Refusal } from '../../src/core/refusals.js'
import { readAccount } from '../../src/db/accounts.js'
import type { Db } from '../../src/db/tables.js'
import { guarded } from '../guarded.js'
import { bearer, DateTime, needsVerified, refused } from '../schemas.js'

const Reference = Type.Union([Type.Integer(), Type.Null()])

const accountRoutes: FastifyPluginAsyncTypebox<{ db: Db }> = async (app, { db }) => {
  guarded(app, app.otpVerified)

  app.get('', {
    schema: {
      operationId: 'readAccount',
      tags: ['Account'],
      security: bearer,
      summary: 'Your account',
      response: {
        200: Type.Object({
          id: Type.String({ format: 'uuid' }),
          username: Type.String(),
          email: Type.String(),
          phone: Type.String(),
          firstName: Type.String(),
          lastName: Type.String(),
          powerAccountId: Reference,
          powerContactId: Reference,
          isOtpEnabled: Type.Boolean({ description: 'Derived: whether a device is confirmed.' }),
          createdAt: DateTime,
          updatedAt: DateTime
        }, {
          examples: [{
            id: '0f8fad5b-d9cb-469f-a165-70867728950e', username: 'ada', email: 'ada@example.org', phone: '', firstName: 'Ada', lastName: 'Lovelace', powerAccountId: null, powerContactId: null, isOtpEnabled: true, createdAt: '2026-11-23T09:00:00.000Z', updatedAt: '2026-11-23T09:00:00.000Z'
          }]
        }),
        ...refused([...needsVerified, 'NOT_FOUND'])
      }
    },
    handler: async ({ countersign }) => {
      const account = await readAccount(db, countersign!.userId)
      if (account === undefined) throw new Refusal('NOT_FOUND')
      return account
    }
  })
}

export default accountRoutes
