/**
 * `countersign/core`: the domain without a framework, a store or a clock.
 *
 * These functions return facts. The caller of `checkTotp` must store the accepted step and refuse it from then on, in one
 * conditional statement, and must count the failures.
 */
export {
  base32, checkTotp, newTotpSecret, normaliseTotp, otpauthUrl, standardTotp, totpStep,
  type TotpCheck, type TotpJudgement, type TotpParameters
} from './totp/totp.js'
export { newRecoveryCode, normaliseRecoveryCode, recoveryDigest } from './recovery/recovery-codes.js'
export { createSeal, type Key, type Opened, type Seal, type SealedPlace } from './keys/seal.js'
