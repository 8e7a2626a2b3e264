import type { DB } from './schema.js'

/*
 * Notes on tables and columns, where the name does not say it. `npm run schema` puts those on columns into schema.ts.
 *
 * Every primary and unique key that decides about a second factor begins with the user's id, so that the tables can be
 * distributed by it. One does not: a passkey's credential belongs to one user of all. No foreign key connects our tables with
 * those of a host.
 */
export const columns = {
  /** One row per user: the lock. Every change of factors, password or rights updates it first and raises `version`. */
  otp_user: {
    failures: 'Codes consumed since the last accepted one.',
    wrong_codes_at: 'Times of wrong codes of unverified sessions, the oldest first. An accepted code or passkey does not clear it.',
    setup_required: 'Staff reset the factors: the password alone opens nothing until a device is confirmed.',
    passkey_handle: 'Random id of the user that authenticators store; null until the first passkey is begun.',
    setup_digest: 'Digest and expiry of the one-time code that login requires beside the password then.'
  },
  /** Factor of any kind. What only one kind needs is in a table of that kind; its rows are deleted with this row. */
  otp_device: {
    seed: 'Sealed; only while pending. Secret and recovery codes are derived from it, so that each answer of `create` shows the same.',
    confirmed_at: 'Null while pending.',
    session_id: 'Pending devices only: the session that made it and alone can confirm it, its expiry, and wrong codes so far.'
  },
  /** Authenticator apps: what a factor of the kind `totp` has beside its row in `otp_device`. */
  otp_totp: {
    secret: 'Sealed for the place `otp_device`. Never leaves the process once the device is confirmed.',
    last_step: 'Last accepted step; it and all steps before it are refused.',
    weak: 'Imported with a secret of less than 128 bits.',
    other_secret: 'Second reading of an imported secret, sealed for the place `otp_totp_other`; null after the first accepted code.',
    other_secret_until: 'Time from which only `secret` is read.'
  },
  /** Passkeys: what a factor of the kind `passkey` has beside its row in `otp_device`. */
  otp_passkey: {
    rp_id: 'Domain that it is bound to.',
    credential_id: 'Unique over all users, by its SHA-256.',
    public_key: 'COSE_Key, as the authenticator sent it.',
    sign_count: 'Last counter; a smaller or equal one is refused, unless both are 0.',
    transports: 'As the authenticator reported them: sent back unchanged.',
    aaguid: 'Model of the authenticator, as it states it: for display alone.',
    backup_eligible: 'Never changes.'
  },
  /** Outstanding challenges, at most one for each session and purpose. */
  otp_challenge: {
    device_id: 'Pending factor that a registration is for; null for a verification.'
  },
  otp_recovery_code: {
    pending_device_id: 'Pending device whose confirmation activates the code; null if the code is active.',
    weak: 'Imported code with few bits, which can be guessed: a guess consumes an attempt.',
    form: 'Form of the code that `digest` was made of: `own`, `printed`, `django` or `sha512`; `deployment` in rows of an older release.',
    fast: 'Weak code whose digest is a fast one still.',
    origin: 'Sealed key and user id of the digest, if it was made in another deployment.'
  },
  otp_session: {
    otp_factor_ids: "Every factor that the session's proofs rely on; a recovery code is none.",
    phr_at: 'Time of the last phishing-resistant proof.',
    challenges: 'Challenges issued since `challenges_since`, of both purposes, for the limit of a session.',
    otp_deadline: 'From then on, a session without a device may only set one up. Null where 2FA is optional.',
    auth_claimed_at: 'Latest time of a proof that was in the future when a host gave it; `auth_at` is when it was first seen.',
    generation: 'Refresh generation: raised by each rotation, compared by the next.',
    rotated_network: 'Network of the request for that rotation; null if there was none, or if an older release wrote the row.',
    reused_generation:
      'Newest generation whose parent was presented from another network than that, and the transaction of that request.',
    failures: 'Wrong codes of a verified session.',
    ended_xid: 'Transaction that ended the session; revocations are read in this order.',
    replaced_by: 'Session that replaced it, if a request of its own ended it.'
  },
  /** Digests of the ids of hosts' ended sessions, kept after their rows: a host may present an id at any later time. */
  otp_ended_session: {
    digest: 'SHA-256 of user and session id.'
  },
  /** Marks: every session with a proof from before a time has ended, of one user, or of all where `user_id` is empty. */
  otp_revocation: {
    user_id: 'Empty: of all users.',
    ended_before: 'A whole second. Compared with `auth_at`, which a session keeps under each of its ids.',
    ended_xid: 'Transaction that put the mark, for the revocation readings; null for the mark of all.'
  },
  /** Guesses at passwords that a host checks, by user and network; `*` stands for all networks together. */
  otp_password_budget: {},
  /** Events of all its children: of the one that gets the new ones, and of those that were it before. Has no rows of its own. */
  otp_event: {
    actor_id: 'User id of the actor, if it was not the user.',
    count: 'Number of events that a line stands for, after the limit of single lines in an hour. Null: one event.'
  },
  /** The child that gets the new events. */
  otp_event_current: {},
  /** The other children, by name. One is dropped as a whole when all its events are too old. */
  otp_event_table: {
    closed_at: 'Time since which it gets no new events.',
    dropped_at: 'Not null: it is dropped, and the counters of its events are deleted now, then this row.'
  },
  /** Outbox: one row for each event and destination, until it is delivered or given up. */
  otp_delivery: {
    event_at: 'Key of the event, beside `user_id`; null for a message without one.',
    destination: 'Kind of receiver, such as `webhook`.',
    expires_at: 'Time from which it is not tried again, after the first attempt; null for never.',
    payload: 'Sealed text of a message without an event.'
  },
  /** Numbers a user's events of one kind, from the second one in an hour on. */
  otp_event_counter: {
    line_at: 'Key of the line that counts the events after that limit. `line_at` is null, and `line_id` unused, before it.'
  },
  /** Random keys of the deployment, sealed under SEAL_KEYS so that SEAL_KEYS can rotate. */
  otp_key: {
    namespace: 'Namespace of the sealed values in this schema; null in a row of an earlier version.'
  },
  /** Public keys of JWT_KEYS (EdDSA) that processes published, for good: a few rows. Not part of the tables of an attached host. */
  signing_key: {
    fingerprint: 'SHA-256 of its name and its public key.',
    published_at: 'When a process had it first. It signs 40 s later, if there is a former one.'
  },
  /** Users of the service. Not part of the tables of an attached host. */
  account: {
    email_verified_at: 'Null if the address was not verified.',
    pending_email: 'Address that replaces `email` once it is verified; null if there is none.',
    email_stopped_at: 'The mail server refused the address for good: only links to verify an address are sent until it is verified again.',
    password_links_stopped_at: 'A change of the address was undone: no link for a new password until a log-in, or until staff resume them.',
    locale: 'Language of the user; null if not chosen.',
    username_key: '`usernameKey(username)`: unique, and used for look-ups.'
  },
  /** Account at another service. Its credentials are sealed and never returned. */
  account_oauth_profile: {},
  /** Policy in force and its start, the same for all replicas. */
  account_policy: {},
  /** Users imported from other systems. The row outlives the account, so that a deleted account is not imported again. */
  account_import: {
    source: 'Name of the other system, such as `django`.',
    external_id: 'Id of the user there.',
    fingerprint: 'Keyed digest of the data there, which shows later changes.'
  },
  /** Known networks of an account, whose budget of guesses is separate from that of other networks. */
  account_network: {
    verified: 'True if a session was verified there; otherwise the network is known only while the user has no second factor.'
  },
  /** Tokens of links in mails: one row for each link that can still be used. */
  account_link: {
    purpose: '`verify_email`, `reset_password` or `undo_email_change`.',
    digest: 'SHA-256 of the token.',
    email: 'Address that the link is about.',
    version: 'Version of the user when the link was made.'
  },
  /** Messages to unverified addresses, by account and address, and by mailbox. */
  account_mail_budget: {
    name_digest: 'Keyed digest: no address stays here after an account is deleted.'
  },
  /** Last message of each kind that is sent once an hour at most. */
  account_notice: {
    delivery_id: 'Delivery of that message, which is sent however often it is tried.',
    told: 'Events without a message that this message counts.',
    held: 'Events without a message since then, which the next one counts.'
  },
  /** Password guesses by name (existing or not) and network; `*` stands for all unknown networks, `known` for all known ones. */
  password_budget: {}
} as const satisfies { [Table in keyof DB]: { [Column in keyof DB[Table]]?: string } }
