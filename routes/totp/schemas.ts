import { Type, type TSchema } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest, preHandlerHookHandler } from 'fastify'
import type { SessionContext } from '../../src/core/assurance.js'
import type { Requester, AnsweredSession } from '../../src/core/session.js'
import { longest } from '../../src/core/texts.js'
import type { RelyingParty } from '../../src/core/passkeys/webauthn.js'
import type { OtpDeps } from '../../src/factors/deps.js'
import { DateTime, Methods, Name, NullableDateTime, Password, strict, TypedCode, type Security } from '../schemas.js'

export interface TotpRoutesOptions {
  deps: OtpDeps
  /** Accepts live sessions. */
  session: preHandlerHookHandler
  /** Accepts sessions that pass `otpVerified`. */
  verified: preHandlerHookHandler
  /** Accepts sessions that pass `otpVerified` with a recent proof. */
  fresh: preHandlerHookHandler
  contextOf: (request: FastifyRequest) => SessionContext
  requesterOf: (request: FastifyRequest) => Requester
  label: (userId: string) => string | Promise<string>
  checkPassword?: (request: FastifyRequest, userId: string, password: string) => Promise<void>
  /** Completes a session that began or went on. Returns the answer for the client. */
  finish: (request: FastifyRequest, reply: FastifyReply, session: AnsweredSession, others: 'live on' | 'have ended') => Promise<object>
  /** Schema of that answer. */
  answerSchema: TSchema
  /** Security requirements for the document, which has none without it. */
  security?: Security
  deprecatedGets?: boolean
  limit?: (name: 'code' | 'enrol') => object
  /** Without it there are no operations of passkeys. */
  party?: RelyingParty
  /** Called when the user's other sessions ended and the requesting one did not change. */
  othersEnded: (context: SessionContext) => void
}

/** Options of a group of these operations. */
export interface TotpGroupOptions extends TotpRoutesOptions {
  /** Tags and security of every operation here. */
  common: { tags: string[], security?: Security }
}

/** The first clients call two operations by GET. HEAD must change nothing, so it does not exist. */
export const byGet = { exposeHeadRoute: false }

export const DeviceName = Name(longest.deviceName, { minLength: 1, description: 'Name of the device.' })

const Code = (title: string, description: string, example: string) =>
  Type.Object({ token: TypedCode(description) }, { ...strict, title, examples: [{ token: example }] })
export const TotpCode = Code('TotpCode', 'The digits that the app shows, of any script; spaces and dashes do not matter.', '492039')
export const RecoveryCode = Code(
  'RecoveryCode', 'One recovery code; case, spaces and dashes do not matter.', '7G3K-9QWE-RTY2-4HJM-PZXC-VB8N'
)

export const RecoveryCodes = Type.Array(Type.String(), {
  title: 'RecoveryCodes',
  description: 'Recovery codes, shown once.',
  examples: [['7G3K-9QWE-RTY2-4HJM-PZXC-VB8N', '…']]
})

/** Adds the number of codes left to the schema of a host's answer, which may be any object. */
export function withCodesLeft (answer: TSchema): TSchema {
  const { examples = [], title = 'Answer', ...schema } = answer as TSchema & { examples?: object[] }
  return {
    ...schema,
    title: `${title}AfterRecovery`,
    properties: { ...schema['properties'], recoveryCodesLeft: Type.Integer() },
    required: [...(schema['required'] as string[] | undefined) ?? [], 'recoveryCodesLeft'],
    examples: examples.map((example: object) => ({ ...example, recoveryCodesLeft: 4 }))
  } as TSchema
}

export const TotpStatus = Type.Object({
  isOtpEnabled: Type.Boolean({ description: 'True if a device is confirmed.' }),
  isPending: Type.Boolean({ description: 'True if a device of this session waits for its first code.' }),
  methods: Methods,
  recoveryCodesLeft: Type.Integer(),
  recoveryCodesWeak: Type.Boolean({ description: 'True if they were imported from another system and are short: make new ones.' }),
  weakDevices: Type.Integer({ description: 'Authenticator apps that were imported with a short secret: replace them.' }),
  otpDeadline: Type.Unsafe<Date | null>({
    ...NullableDateTime,
    description: 'Time after which this session can only set up a second factor; null if the policy requires none, or the user has one.'
  })
}, {
  title: 'TotpStatus',
  description: 'State of the second factor.',
  examples: [{
    isOtpEnabled: true,
    isPending: false,
    methods: ['totp', 'recovery_code'],
    recoveryCodesLeft: 5,
    recoveryCodesWeak: false,
    weakDevices: 0,
    otpDeadline: null
  }]
})

/** Body of a set-up. A host without `checkPassword` takes no password. */
export const NewTotp = ({ hasPassword }: { hasPassword: boolean }) => Type.Object({
  name: Type.Optional(DeviceName),
  ...(hasPassword ? { password: Type.Optional(Password) } : {})
}, { ...strict, title: 'NewTotp', examples: [{ name: 'Pixel 9' }] })

export const TotpSetUp = Type.Object({
  message: Type.String(),
  deviceId: Type.String({ format: 'uuid' }),
  otpUrl: Type.String({ description: 'otpauth:// URI.' }),
  otpQr: Type.String({ description: 'The same as a QR code: a PNG as `data:` URL.' }),
  recoveryCodes: RecoveryCodes,
  expiresAt: DateTime
}, {
  title: 'TotpSetUp',
  description: 'A device that waits for its first code.',
  examples: [{
    message: 'Scan the QR code, then send the first code to /totp/login.',
    deviceId: '0f8fad5b-d9cb-469f-a165-70867728950e',
    otpUrl: 'otpauth://totp/Countersign:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Countersign&algorithm=SHA1&digits=6&period=30',
    otpQr: 'data:image/png;base64,iVBORw0KGgo…',
    recoveryCodes: ['7G3K-9QWE-RTY2-4HJM-PZXC-VB8N', '…'],
    expiresAt: '2026-11-23T09:10:00.000Z'
  }]
})

const deviceExample = {
  id: '16fd2706-8baf-433b-82eb-8c7fada847da',
  kind: 'totp',
  name: 'Pixel 9',
  createdAt: '2026-11-23T09:00:00.000Z',
  lastUsedAt: '2026-11-23T09:25:00.000Z'
}
/** Device as shown, without its secret. */
export const Device = Type.Object({
  id: Type.String({ format: 'uuid' }),
  kind: Type.Unsafe<'totp' | 'passkey'>({ type: 'string', enum: ['totp', 'passkey'] }),
  name: Type.String(),
  createdAt: DateTime,
  lastUsedAt: NullableDateTime,
  weak: Type.Optional(Type.Boolean({ description: 'True for an app that was imported with a secret of less than 128 bits: replace it.' })),
  backedUp: Type.Optional(Type.Boolean({ description: 'Passkeys only: a copy is kept, so that it survives the loss of the device.' })),
  transports: Type.Optional(Type.Array(Type.String(), { description: 'Passkeys only: how the authenticator is reached.' })),
  aaguid: Type.Optional(Type.String({ description: 'Passkeys only: model that the authenticator states, not proven.' }))
}, { title: 'Device', description: 'A confirmed device.', examples: [deviceExample] })

export const DeviceList = Type.Array(Device, {
  title: 'DeviceList', description: 'Confirmed devices, the oldest first.', examples: [[deviceExample]]
})

export const RenamedDevice = Type.Object({ name: DeviceName }, { ...strict, title: 'RenamedDevice', examples: [{ name: 'Old phone' }] })
