/** Numbers of imported and omitted rows, by kind. */
export interface ImportReport {
  users: {
    found: number
    brought: number
    alreadyHere: number
    changedThereSince: number
    deletedHere: number
    leftOut: number
    /** Users among `brought` that need a set-up code: their second factor could not come. */
    owing: number
  }
  passwords: { brought: number, none: number, leftOut: number }
  /** `made`: from the user's own row, where there was no profile. */
  profiles: { brought: number, made: number }
  oauthProfiles: { brought: number }
  /** `weak`: those among `brought` with a short secret. */
  devices: { brought: number, weak: number, pendingLeftBehind: number, leftOut: number }
  passkeys: { brought: number, leftOut: number }
  /** `weak`: those among `brought` that can be guessed. */
  recoveryCodes: { brought: number, weak: number, leftBehind: number, loneDevicesLeftBehind: number }
}

export function emptyReport (): ImportReport {
  return {
    users: { found: 0, brought: 0, alreadyHere: 0, changedThereSince: 0, deletedHere: 0, leftOut: 0, owing: 0 },
    passwords: { brought: 0, none: 0, leftOut: 0 },
    profiles: { brought: 0, made: 0 },
    oauthProfiles: { brought: 0 },
    devices: { brought: 0, weak: 0, pendingLeftBehind: 0, leftOut: 0 },
    passkeys: { brought: 0, leftOut: 0 },
    recoveryCodes: { brought: 0, weak: 0, leftBehind: 0, loneDevicesLeftBehind: 0 }
  }
}
