import { enrolTotp } from './enrolment.js'
import type { ProofKind } from './commit.js'
import { enrolPasskey } from './passkeys/ceremonies.js'
import { passkeyProof } from './passkeys/kind.js'
import { verifyAssertion } from './passkeys/webauthn.js'
import { readCandidates } from './recovery/candidates.js'
import { recoveryProof } from './recovery/kind.js'
import { totpProof } from './totp/kind.js'
import { judge } from './totp/verification.js'

/** Flow or judgement of a kind, whose arguments are its own. */
type OfKind = (...args: never[]) => unknown

/**
 * A kind of second factor. Attempts, lockout, sessions, events, removal and reset are shared, and so are the statement that commits a
 * proof (commit.ts) and the one that confirms a device (confirm.ts). A new kind is a folder with these, and a line in `factors`.
 */
export interface FactorKind<Values extends object> extends ProofKind<Values> {
  /** Begins the set-up of a device: returns what is shown once. Null for a kind without devices, which comes with the first one. */
  begin: OfKind | null
  /** Judges an answer by what was stored. It changes nothing. */
  judge: OfKind
}

const factor = <Values extends object, Of extends Pick<FactorKind<Values>, 'begin' | 'judge'>>(proof: ProofKind<Values>, of: Of) =>
  ({ ...proof, ...of })

/** The kinds of second factors: how one begins, is judged and is consumed, and the claims `amr` and `acr` of the session after it. */
export const factors = {
  totp: factor(totpProof, { begin: enrolTotp, judge }),
  passkey: factor(passkeyProof, { begin: enrolPasskey, judge: verifyAssertion }),
  recovery: factor(recoveryProof, { begin: null, judge: readCandidates })
} satisfies { [Kind in ProofKind<never>['kind']]: object }
