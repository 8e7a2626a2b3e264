import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { longest } from '../../src/core/texts.js'
import { listDevices } from '../../src/factors/device-statements.js'
import { removeDevice, renameDevice } from '../../src/factors/devices.js'
import { needsFresh, needsVerified, refused } from '../refused.js'
import { onRepeat } from '../repeats.js'
import { Id, requireName } from '../schemas.js'
import { Device, DeviceList, RenamedDevice, type TotpGroupOptions } from './schemas.js'

const deviceRoutes: FastifyPluginAsyncTypebox<TotpGroupOptions> = async (
  app, { deps, verified, fresh, contextOf, requesterOf, finish, answerSchema, common }
) => {
  app.get('', {
    preHandler: verified,
    schema: {
      operationId: 'listDevices',
      ...common,
      summary: 'Your devices',
      response: { 200: DeviceList, ...refused(needsVerified) }
    },
    handler: async (request) => await listDevices(deps.db, contextOf(request).userId)
  })

  app.patch('/:id', {
    preHandler: fresh,
    schema: {
      operationId: 'renameDevice',
      ...common,
      summary: 'Rename a device',
      params: Id,
      body: RenamedDevice,
      response: { 200: Device, ...refused([...needsFresh, 'NOT_FOUND']) }
    },
    async handler (request) {
      const name = requireName('name', request.body.name, longest.deviceName)
      return await renameDevice(deps, requesterOf(request), request.params.id, name)
    }
  })

  const isRemoved = async (request: FastifyRequest, userId: string) => {
    const { id } = request.params as { id: string }
    return (await listDevices(deps.db, userId)).every((device) => device.id !== id)
  }
  app.delete('/:id', {
    ...onRepeat(deps.db, { otp_device_removed: 'NOT_FOUND', otp_disabled: 'NOT_FOUND' }, isRemoved),
    preHandler: fresh,
    schema: {
      operationId: 'removeDevice',
      ...common,
      summary: 'Remove a device',
      description: 'Every session ends, and earlier tokens are refused; the answer has the tokens of a new one. If the device is the ' +
        'one that verified the requester session, ' +
        'the new one owes a code of another device. Removing the last device is `DELETE /totp/delete`: everything is gone.',
      params: Id,
      response: { 200: answerSchema, ...refused([...needsFresh, 'NOT_FOUND']) }
    },
    handler: async (request, reply) =>
      await finish(request, reply, await removeDevice(deps, requesterOf(request), request.params.id), 'have ended') as never
  })
}

export default deviceRoutes
