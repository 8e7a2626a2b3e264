/** Most recovery codes in a set, which its user has to keep somewhere. */
export const MOST_RECOVERY_CODES = 20

/** Defaults of the settings, shared by the service's variables and an attached host's `settings`. */
export const otpDefaults = {
  window: 1,
  setupSeconds: 600,
  reauthSeconds: 300,
  pendingSeconds: 300,
  freshSeconds: 300,
  recoveryCodes: 5,
  sessionSeconds: 30 * 86_400,
  revocationSeconds: 1,
  eventsDays: 400,
  endedSessionDays: 400
} as const
