import { expressionBuilder } from 'kysely'
import type { Tables } from '../tables/db.js'

const account = expressionBuilder<Tables & { a: Tables['account'], s: Tables['otp_session'] }, 'a'>()
const userId = account.cast<string>('a.id', 'text')

/** Condition on an account `a`: it logged in, with a second factor where it has one, since links for a new password were stopped. */
export const hasLoggedInSince = account.exists(account.selectFrom('otp_session as s').select('s.id')
  .where('s.user_id', '=', userId).whereRef('s.started_at', '>', 'a.password_links_stopped_at')
  .where((eb) => eb.or([eb('s.otp_at', 'is not', null), eb('s.otp_required', '=', false)])))
