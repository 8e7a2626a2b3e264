import type { Act } from './people/life.js'

/** Bug that is planted into the statements on their way to the driver, without a change of the sources. */
export interface Plant {
  /** Name of the property that it violates. */
  violates: string
  /** What people do most, so that the bug is found soon. */
  act: Act
  /** Parts of statements, and their replacements. Parameters stay in the text, so that they keep their types. */
  changes: ReadonlyArray<readonly [part: RegExp, replacement: string]>
}

/** One bug for each property. */
export const plants: Readonly<Record<string, Plant>> = {
  'used steps are accepted': {
    violates: 'step-once',
    act: 'verify',
    changes: [[/"f"\."last_step" < (\$\d+)/g, '(true or "f"."last_step" < $1)']]
  },
  'older steps are accepted': {
    violates: 'steps-rise',
    act: 'verify',
    changes: [[/"f"\."last_step" < (\$\d+)/g, '"f"."last_step" <> $1'], [/f\.t0_seconds, f\.last_step/, 'f.t0_seconds, 0 as last_step']]
  },
  'challenges stay': {
    violates: 'challenge-once',
    act: 'usePasskey',
    changes: [[/set "expires_at" = "c"\."created_at" from/, 'set "expires_at" = "c"."expires_at" from']]
  },
  'recovery codes stay': {
    violates: 'recovery-once',
    act: 'recover',
    changes: [[/"c" set "used_at" = "now"\."at"/, '"c" set "used_at" = null']]
  },
  'tokens for a password stay': {
    violates: 'reset-once',
    act: 'forget',
    changes: [
      [/^delete from "account_link" where ("digest" = \$1)/, 'update "account_link" set "version" = "version" where $1'],
      [/^delete from "account_link" where ("user_id" = \$1 and "purpose" = any)/, 'delete from "account_link" where false and $1'],
      [/^(update "account" as "a" set "password_hash" .*)("u"\."version" = \$\d+)/, '$1(true or $2)']
    ]
  },
  'set-up codes stay': {
    violates: 'setup-once',
    act: 'beReset',
    changes: [[
      /set "setup_digest" = (\$\d+|null), "setup_expires_at" = (\$\d+|null) from "person"/,
      'set "setup_digest" = coalesce($1, "u"."setup_digest"), "setup_expires_at" = coalesce($2, "u"."setup_expires_at") from "person"'
    ]]
  },
  'generations are not compared': {
    violates: 'generation-once',
    act: 'refresh',
    changes: [[/("s"\."generation" = \$\d+)/g, '(true or $1)']]
  },
  'ends are not read': {
    violates: 'ended-stays-ended',
    act: 'logOut',
    changes: [[/(ended_xid < pg_snapshot_xmax\(pg_current_snapshot\(\)\))/, '$1 and false']]
  }
}

const VARIABLE = 'HISTORIES_PLANT'

/** Environment of a process that loads `stage/plant-preload.js`. */
export const environmentOf = (name: string): Record<string, string> => ({ [VARIABLE]: name })

/** Statement with the bug of this process. */
export function planted (text: string): string {
  return plants[process.env[VARIABLE]!]!.changes.reduce((changed, [part, replacement]) => changed.replace(part, replacement), text)
}
