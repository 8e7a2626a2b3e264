import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { longest } from '../../src/core/texts.js'
import { listDevices } from '../../src/factors/device-statements.js'
import { removeDevice, renameDevice } from '../../src/factors/devices.js'
import { onRepeat } from '../repeats.js'
import { DateTime, Id, Name, needsFresh, needsVerified, NullableDateTime, refused, requireName, strict, type Security } from '../schemas.js'
import type { TotpRoutesOptions } from './index.js'

type SharedOptions = 'deps' | 'verified' | 'fresh' | 'standingOf' | 'requesterOf' | 'finish' | 'answerSchema'

export type DeviceRoutesOptions = Pick<TotpRoutesOptions, SharedOptions> & {
  /** Tags and security of every operation here. */
  common: { tags: string[], security?: Security }
}

const example = {
  id: '16fd2706-8baf-433b-82eb-8c7fada847da',
  name: 'Pixel 9',
  createdAt: '2026-11-23T09:00:00.000Z',
  lastUsedAt: '2026-11-23T09:25:00.000Z'
}
/** Device as shown, without its secret. */
export const Device = Type.Object({
  id: Type.String({ format: 'uuid' }),
  name: Type.String(),
  createdAt: DateTime,
  lastUsedAt: NullableDateTime
}, { examples: [example] })

const deviceRoutes: FastifyPluginAsyncTypebox<DeviceRoutesOptions> = async (
  app, { deps, verified, fresh, standingOf, requesterOf, finish, answerSchema, common }
) => {
  app.get('', {
    onRequest: verified,
    schema: {
      operationId: 'listDevices',
      ...common,
      summary: 'Your devices',
      description: 'Confirmed devices, the oldest first.',
      response: { 200: Type.Array(Device, { examples: [[example]] }), ...refused(needsVerified) }
    },
    handler: async (request) => await listDevices(deps.db, standingOf(request).userId)
  })

  app.patch('/:id', {
    onRequest: fresh,
    schema: {
      operationId: 'renameDevice',
      ...common,
      summary: 'Rename a device',
      params: Id,
      body: Type.Object(
        { name: Name(longest.deviceName, { minLength: 1, description: 'Name of the device.' }) },
        { ...strict, examples: [{ name: 'Old phone' }] }
      ),
      response: { 200: Device, ...refused([...needsFresh, 'NOT_FOUND'], { body: true }) }
    },
    async handler (request) {
      const name = requireName('body.name', request.body.name, longest.deviceName)
      return await renameDevice(deps, requesterOf(request), request.params.id, name)
    }
  })

  const isRemoved = async (request: FastifyRequest, userId: string) => {
    const { id } = request.params as { id: string }
    return (await listDevices(deps.db, userId)).every((device) => device.id !== id)
  }
  app.delete('/:id', {
    ...onRepeat(deps.db, { otp_device_removed: 'NOT_FOUND', otp_disabled: 'NOT_FOUND' }, isRemoved),
    onRequest: fresh,
    schema: {
      operationId: 'removeDevice',
      ...common,
      summary: 'Remove a device',
      description: 'Every session ends, and earlier tokens are refused; the answer has the tokens of a new one. If the device is the ' +
        'one that verified the requester session, ' +
        'the new one owes a code of another device. Removing the last device is `DELETE /totp/delete`: everything is gone.',
      params: Id,
      response: { 200: answerSchema, ...refused([...needsFresh, 'NOT_FOUND'], { body: true }) }
    },
    handler: async (request, reply) =>
      await finish(request, reply, await removeDevice(deps, requesterOf(request), request.params.id), 'have ended') as never
  })
}

export default deviceRoutes
