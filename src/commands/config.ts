import { readProcess } from '../config/config.js'
import { misreadings } from '../core/totp/totp.js'
import { storeOf, trialNotice } from '../config/store.js'
import { printable, type Io } from './io.js'

/** Reads the configuration as the server does. Warnings do not make it fail. */
export function checkConfigCommand (io: Io, env: NodeJS.ProcessEnv, folder: string): void {
  const { config, notes } = readProcess(env, folder)
  const store = storeOf(config)
  const trial = trialNotice(store)
  const warnings = [
    ...notes.filter(({ level }) => level === 'warn').map(({ text }) => text),
    ...(trial === undefined ? [] : [trial]),
    ...misreadings(config.otpIssuer).map((misreading) => `OTP_ISSUER ${misreading}`)
  ]
  const remarks = notes.filter(({ level }) => level === 'info').map(({ text }) => text)
  io.print({ ok: true, store: store.kind, storeName: store.name, remarks, warnings }, [
    'The configuration is sound.',
    `store: ${printable(store.name)}`,
    ...remarks,
    ...warnings.map((warning) => `warning: ${warning}`)
  ])
}
