/** Every kind of security event. Kinds are API: never renamed, only added. */
export const eventKinds = {
  signed_up: 'The account was made',
  logged_in: 'The password was right: a session started',
  login_failed: 'The password was wrong',
  logged_out: 'The session was ended by its owner',
  refresh_reused: 'An old refresh token was shown again: the session ended',
  otp_enabled: 'The first device was confirmed: the second factor is on',
  otp_device_added: 'A further device was confirmed',
  otp_verified: 'A code was accepted',
  otp_refused: 'A code was wrong, expired or already used',
  otp_locked: 'Too many wrong codes: locked for a while',
  otp_disabled: 'Every device and recovery code was removed',
  otp_session_spent: 'Too many wrong codes on a verified session: it ended',
  otp_setup_spent: 'Too many wrong codes for a pending device: it is gone',
  recovery_used: 'A recovery code was used',
  recovery_refused: 'A recovery code was wrong or already used',
  recovery_regenerated: 'New recovery codes were made, the old ones are dead'
} as const

export type EventKind = keyof typeof eventKinds
