/**
 * Counters of /metrics. A closed table: every label has few values, and none identifies a user.
 * Counting is an addition in a Map, cheap enough for the hot path; the metrics library reads the values at scrape.
 */
export const definedCounters = {
  passwords_total: { help: 'Passwords asked for', labels: ['outcome'] },
  password_checks_total: { help: 'New passwords looked up in BREACHED_PASSWORDS_URL', labels: ['outcome'] },
  codes_total: { help: 'Second-factor codes judged or turned away', labels: ['kind', 'outcome'] },
  locks_total: { help: 'Locks that wrong codes began', labels: [] },
  stops_total: { help: 'Users whose app codes are not accepted until a recovery code is used or staff unlock the account', labels: [] },
  recovery_codes_left_total: { help: 'Recovery codes that were left when one was used', labels: ['left'] },
  sessions_started_total: { help: 'Sessions that began', labels: ['by'] },
  sessions_ended_total: { help: 'Sessions that ended', labels: ['reason'] },
  refreshes_total: { help: 'Refresh tokens shown', labels: ['outcome'] },
  webhooks_total: { help: 'Attempts to tell the webhook\'s receiver of an event, and events given up', labels: ['outcome'] },
  mails_total: { help: 'Attempts to mail, and mails that were dropped, refused for good or given up', labels: ['outcome'] },
  password_resets_total: { help: 'Links for a new password: asked for, used, not accepted', labels: ['outcome'] },
  rows_skipped_total: { help: 'Stored values that could not be read, each time that one was skipped', labels: ['table'] },
  deleted_rows_total: { help: 'Rows that the cleanup deleted', labels: ['kind'] }
} as const

export type CounterName = keyof typeof definedCounters

/** Values for the labels of a counter, in the order of the table. */
type ValuesOf<Labels extends readonly string[]> = { [Index in keyof Labels]: string }

export interface Counters {
  count<Name extends CounterName> (name: Name, labels: ValuesOf<typeof definedCounters[Name]['labels']>, by?: number): void
  read (name: CounterName): Array<{ labels: Record<string, string>, value: number }>
}

export function createCounters (): Counters {
  const values = new Map<CounterName, Map<string, number>>()
  return {
    count (name, labels, by = 1) {
      const series = values.get(name) ?? new Map<string, number>()
      values.set(name, series)
      const key = (labels as readonly string[]).join(' ')
      series.set(key, (series.get(key) ?? 0) + by)
    },
    read: (name) => [...values.get(name) ?? []].map(([key, value]) => {
      const given = key.split(' ')
      return { labels: Object.fromEntries(definedCounters[name].labels.map((label, i) => [label, given[i] ?? ''])), value }
    })
  }
}
