import type { Migration } from 'kysely'
import * as secondFactor from './2026-11-23-01-second-factor.js'
import * as accounts from './2026-11-23-02-accounts.js'
import * as secondFactorEdges from './2026-11-30-01-second-factor.js'
import * as accountsEdges from './2026-11-30-02-accounts.js'
import * as events from './2026-11-30-03-events.js'
import * as factors from './2026-11-30-04-factors.js'
import * as importsBySource from './2026-11-30-05-accounts.js'
import * as passkeys from './2026-11-30-06-passkeys.js'
import * as moving from './2026-11-30-07-moving.js'
import * as mail from './2026-11-30-09-mail.js'
import * as recovery from './2026-11-30-10-recovery.js'
import * as challenges from './2026-11-30-11-challenges.js'
import * as revocations from './2026-11-30-12-revocations.js'
import * as eventTables from './2026-11-30-13-event-tables.js'
import * as marksOfUsers from './2026-11-30-14-marks-of-users.js'
import * as signingKeys from './2026-11-30-15-signing-keys.js'

/** Migrations of an attached host, in the order of their names. A released migration is frozen. */
export const secondFactorMigrations: Record<string, Migration> = {
  '2026-11-23-01-second-factor': secondFactor,
  '2026-11-30-01-second-factor': secondFactorEdges,
  '2026-11-30-03-events': events,
  '2026-11-30-04-factors': factors,
  '2026-11-30-06-passkeys': passkeys,
  '2026-11-30-07-moving': moving,
  '2026-11-30-10-recovery': recovery,
  '2026-11-30-11-challenges': challenges,
  '2026-11-30-12-revocations': revocations,
  '2026-11-30-13-event-tables': eventTables,
  '2026-11-30-14-marks-of-users': marksOfUsers
}

/** Migrations of the service: the same, and its users. In the order of their names. */
export const serviceMigrations: Record<string, Migration> = {
  '2026-11-23-01-second-factor': secondFactor,
  '2026-11-23-02-accounts': accounts,
  '2026-11-30-01-second-factor': secondFactorEdges,
  '2026-11-30-02-accounts': accountsEdges,
  '2026-11-30-03-events': events,
  '2026-11-30-04-factors': factors,
  '2026-11-30-05-accounts': importsBySource,
  '2026-11-30-06-passkeys': passkeys,
  '2026-11-30-07-moving': moving,
  '2026-11-30-09-mail': mail,
  '2026-11-30-10-recovery': recovery,
  '2026-11-30-11-challenges': challenges,
  '2026-11-30-12-revocations': revocations,
  '2026-11-30-13-event-tables': eventTables,
  '2026-11-30-14-marks-of-users': marksOfUsers,
  '2026-11-30-15-signing-keys': signingKeys
}
