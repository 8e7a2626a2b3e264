/**
 * `countersign/core`: the domain without a framework, a store or a clock, for whoever needs only that.
 *
 * These functions return facts. Whoever calls `checkTotp` must store the step that it accepted, and refuse it from then
 * on, in one conditional statement; and count the failures.
 */
export {
  base32, checkTotp, newTotpSecret, normaliseTotp, otpauthUrl, standardTotp, totpStep,
  type TotpCheck, type TotpJudgement, type TotpParameters
} from './totp.js'
export { newRecoveryCode, normaliseRecoveryCode, recoveryDigest } from './recovery-codes.js'
export { createSeal, type Key, type Opened, type Seal, type SealedPlace } from './seal.js'
