import { noticeKinds, type NoticeKind } from '../../core/notices/texts.js'

/**
 * Kinds of events that the service mails. A change of the address is not one of them: the earlier address was told, with a link,
 * when the new one was given.
 */
export const mailedKinds: readonly NoticeKind[] = noticeKinds.filter((kind) => kind !== 'email_changed')
