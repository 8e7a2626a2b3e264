import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { clock, earlier, numberAs, unixSeconds } from '../../tables/values.js'

interface Spent { nameDigest: string, most: number, seconds: number }

const spendOne = statement('spend_mail', (db, p: Parameters<Spent>) => db.insertInto('account_mail_budget')
  .values({ name_digest: p.nameDigest, spent: 1, window_started_at: clock })
  .onConflict((oc) => oc.column('name_digest')
    .doUpdateSet((eb) => {
      const [before, next] = [eb.ref('account_mail_budget.window_started_at'), eb.ref('excluded.window_started_at').$castTo<Date>()]
      const isOver = eb(before, '<=', earlier(next, p.seconds))
      return {
        spent: eb.case().when(isOver).then(1).else(eb('account_mail_budget.spent', '+', 1)).end(),
        window_started_at: eb.case().when(isOver).then(next).else(before).end()
      }
    })
    .where((eb) => eb.or([
      eb('account_mail_budget.spent', '<', p.most),
      eb('account_mail_budget.window_started_at', '<=', earlier(eb.ref('excluded.window_started_at').$castTo<Date>(), p.seconds))
    ])))
  .returning('account_mail_budget.spent'))

const readWindow = statement('read_mail_budget', (db, p: Parameters<{ nameDigest: string }>) => db.selectFrom('account_mail_budget')
  .where('name_digest', '=', p.nameDigest)
  .select([(eb) => numberAs(unixSeconds(eb.ref('window_started_at')), 'startedAtSeconds'), numberAs(unixSeconds(clock), 'nowSeconds')]))

/**
 * Counts a message in a budget. Exact across replicas: one conditional upsert.
 *
 * @returns 0 if it was counted, else the seconds until the budget has room
 */
export async function spendMail (db: Db, nameDigest: string, most: number, seconds: number): Promise<number> {
  if (await spendOne.first(db, { nameDigest, most, seconds }) !== undefined) return 0
  const window = await readWindow.first(db, { nameDigest })
  return window === undefined ? 1 : Math.max(1, Math.ceil(window.startedAtSeconds + seconds - window.nowSeconds))
}
