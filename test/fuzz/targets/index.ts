import type { Target } from '../target.js'

/** Targets by name, loaded when they run: some of them make keys or start an app. */
export const targets = {
  codes: async (): Promise<Target> => (await import('./codes.js')).target,
  otpauth: async (): Promise<Target> => (await import('./otpauth.js')).target,
  tokens: async (): Promise<Target> => (await import('./tokens.js')).target,
  addresses: async (): Promise<Target> => (await import('./addresses.js')).target,
  hashes: async (): Promise<Target> => (await import('./hashes.js')).target,
  'moving-lines': async (): Promise<Target> => (await import('./moving-lines.js')).target,
  passkeys: async (): Promise<Target> => (await import('./passkeys.js')).target,
  requests: async (): Promise<Target> => (await import('./requests.js')).target
}
export type TargetName = keyof typeof targets
