import type { EventKind } from '../events/kinds.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction } from '../tables/transaction.js'
import { clock, earlier } from '../tables/values.js'
import { lockImports } from './statements.js'

const DAY_SECONDS = 86_400
/** Events of an account into which nobody has logged in. */
const BEFORE_LOG_IN: EventKind[] = ['imported', 'exported', 'login_failed', 'login_deactivated', 'setup_code_refused']

type OfSource = Parameters<{ source: string }>

/** Locks the users of a source: a log-in that is under way comes first, and a later one finds no account. */
const lockOfSource = statement('lock_imported_users', (db, p: OfSource) => db.selectFrom('otp_user').select('user_id')
  .where('user_id', 'in', (eb) => eb.selectFrom('account_import').select('user_id').where('source', '=', p.source))
  .orderBy('user_id').forUpdate())

/** Users of a source who have logged in, or who came longer ago than the events that would show it are kept. */
const countUsed = statement('count_used_imports', (db, p: Parameters<{ source: string, kinds: string[], keptSeconds: number }>) => db
  .selectFrom('account_import as i')
  .select((eb) => eb.cast<number>(eb.fn.countAll(), 'integer').as('count'))
  .where('i.source', '=', p.source)
  .where((eb) => eb.or([
    eb('i.imported_at', '<', earlier(clock, p.keptSeconds)),
    eb.exists(eb.selectFrom('otp_session as s').whereRef('s.user_id', '=', 'i.user_id').select('s.id')),
    eb.exists(eb.selectFrom('account_network as n').whereRef('n.user_id', '=', 'i.user_id').select('n.network')),
    eb.exists(eb.selectFrom('otp_event as e').whereRef('e.user_id', '=', 'i.user_id').select('e.id')
      .where((eb) => eb.not(eb('e.kind', '=', eb.fn.any(eb.val(p.kinds))))))
  ])))

const TABLES = ['otp_device', 'otp_recovery_code', 'otp_event', 'otp_event_counter', 'account_oauth_profile', 'otp_user'] as const
const deletions = TABLES.map((table) => statement(`undo_import_${table}`, (db, p: OfSource) => db.deleteFrom(table)
  .where('user_id', 'in', (eb) => eb.selectFrom('account_import').select('user_id').where('source', '=', p.source))))

const deleteAccounts = statement('undo_import_account', (db, p: OfSource) => db.deleteFrom('account')
  .where('id', 'in', (eb) => eb.selectFrom('account_import').select((eb) => eb.cast<string>('user_id', 'uuid').as('id'))
    .where('source', '=', p.source)))

const deleteImports = statement('undo_imports', (db, p: OfSource) => db.deleteFrom('account_import').where('source', '=', p.source))

/**
 * Takes an import back: deletes every account of a source, unless any of its users has logged in.
 *
 * @param eventsDays for how long events are kept: of users who came before that, nobody knows who has logged in
 * @returns the number of deleted accounts, or of users who have logged in or may have
 */
export async function undoImport (db: Db, source: string, eventsDays: number): Promise<{ deleted: number } | { used: number }> {
  return await inTransaction(db, async (tx) => {
    await lockImports.first(tx)
    await lockOfSource.all(tx, { source })
    const { count: used } = (await countUsed.first(tx, { source, kinds: BEFORE_LOG_IN, keptSeconds: eventsDays * DAY_SECONDS }))!
    if (used > 0) return { used }
    for (const deletion of deletions) await deletion.changed(tx, { source })
    const deleted = await deleteAccounts.changed(tx, { source })
    await deleteImports.changed(tx, { source })
    return { deleted }
  })
}
