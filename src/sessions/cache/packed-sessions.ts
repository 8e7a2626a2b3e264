import type { Generation } from '../../core/aging-map.js'
import type { SessionContext } from '../../core/assurance.js'

/** Session context, and the monotonic time until which it may be used. */
export interface Remembered { context: SessionContext, untilMs: number }

/** Bytes for each session. Three UUIDs and four times take 144. The system gives memory only to pages that were written. */
const BYTES_PER_SESSION = 192
/** The length of an id is one byte. PostgreSQL has no longer ones either. */
const MOST_ID_BYTES = 255
const TIME_BYTES = 8
const LAST_ASCII = 127
/** Flags, three ids with their lengths, and seven times. */
const MOST_RECORD_BYTES = 1 + 3 * (1 + MOST_ID_BYTES) + 7 * TIME_BYTES

/** Flags of a record: a field that is true, or times that are not null. A removed record has no other flag. */
const REMOVED = 128
const OTP_REQUIRED = 1
const OTP_TIME = 2
const PHR_TIME = 4
const OTP_DEADLINE = 8
const AUTH_CLAIMED_TIME = 16

/** Place of no record. */
const NONE = 0
const FIRST = 1

/**
 * Map of sessions by their id, which stores them one after another as bytes: a fifth of the memory of objects, and the garbage collector
 * neither copies nor visits them. An open-addressed table has the place of each record. The bytes of removed and replaced records are
 * free again after `clear`.
 *
 * A record is the flags, the ids of session, user and device (length in bytes, then UTF-8; empty for no device), and the times that are
 * not null.
 */
export class PackedSessions implements Generation<string, Remembered> {
  readonly #most: number
  readonly #places: Uint32Array
  readonly #bytes: Buffer
  readonly #view: DataView
  /** Where the next record begins, and how many places are taken, those of removed sessions included. */
  #end = FIRST
  #taken = 0
  #size = 0
  /** Where the next part of a record is read or written. */
  #cursor = 0

  /** @param most number of sessions; fewer if their ids are much longer than a UUID */
  constructor (most: number) {
    this.#most = most
    this.#places = new Uint32Array(2 ** Math.ceil(Math.log2(2 * most)))
    this.#bytes = Buffer.from(new ArrayBuffer(FIRST + most * BYTES_PER_SESSION + MOST_RECORD_BYTES))
    this.#view = new DataView(this.#bytes.buffer)
  }

  get size (): number { return this.#size }

  get isFull (): boolean { return this.#taken >= this.#most || this.#end + MOST_RECORD_BYTES > this.#bytes.length }

  get (sessionId: string): Remembered | undefined {
    const record = this.#places[this.#slotOf(sessionId)]!
    return this.#isStored(record) ? this.#read(record, sessionId) : undefined
  }

  /** Does not store a session with an id of more than 255 bytes. */
  set (sessionId: string, remembered: Remembered): void {
    this.delete(sessionId)
    const { userId, otpDeviceId } = remembered.context
    if ([sessionId, userId, otpDeviceId ?? ''].some((id) => Buffer.byteLength(id) > MOST_ID_BYTES)) return
    const slot = this.#slotOf(sessionId)
    if (this.#places[slot] === NONE) this.#taken++
    this.#places[slot] = this.#end
    this.#size++
    this.#write(sessionId, remembered)
  }

  delete (sessionId: string): void {
    const record = this.#places[this.#slotOf(sessionId)]!
    if (!this.#isStored(record)) return
    this.#bytes[record] = REMOVED
    this.#size--
  }

  clear (): void {
    this.#places.fill(NONE)
    this.#end = FIRST
    this.#taken = 0
    this.#size = 0
  }

  /** Returns the index of the session's place in the table, or of the free one where it would be. */
  #slotOf (sessionId: string): number {
    const mask = this.#places.length - 1
    let slot = hashOf(sessionId) & mask
    while (this.#places[slot] !== NONE && !this.#isText(this.#places[slot]! + 1, sessionId)) slot = (slot + 1) & mask
    return slot
  }

  #isStored (record: number): boolean {
    return record !== NONE && this.#bytes[record] !== REMOVED
  }

  #isText (at: number, text: string): boolean {
    const length = this.#bytes[at]!
    // A text has as many bytes as UTF-16 units only if all of it is ASCII.
    if (length !== text.length) return length > text.length && this.#bytes.toString('utf8', at + 1, at + 1 + length) === text
    for (let i = 0; i < length; i++) {
      const byte = this.#bytes[at + 1 + i]!
      if (byte !== text.charCodeAt(i) || byte > LAST_ASCII) return false
    }
    return true
  }

  #read (record: number, sessionId: string): Remembered {
    const flags = this.#bytes[record]!
    this.#cursor = record + 2 + this.#bytes[record + 1]!
    const context = {
      userId: this.#readText(),
      sessionId,
      otpRequired: (flags & OTP_REQUIRED) !== 0,
      otpDeviceId: this.#readText() || null,
      authTime: this.#readTime(),
      expiresAt: this.#readTime(),
      otpTime: (flags & OTP_TIME) === 0 ? null : this.#readTime(),
      phrTime: (flags & PHR_TIME) === 0 ? null : this.#readTime(),
      otpDeadline: (flags & OTP_DEADLINE) === 0 ? null : this.#readTime(),
      authClaimedTime: (flags & AUTH_CLAIMED_TIME) === 0 ? null : this.#readTime()
    }
    return { context, untilMs: this.#readTime() }
  }

  #write (sessionId: string, { context, untilMs }: Remembered): void {
    const { otpTime, phrTime = null, otpDeadline, authClaimedTime = null } = context
    this.#bytes[this.#end] = (context.otpRequired ? OTP_REQUIRED : 0) | (otpTime === null ? 0 : OTP_TIME) |
      (phrTime === null ? 0 : PHR_TIME) | (otpDeadline === null ? 0 : OTP_DEADLINE) | (authClaimedTime === null ? 0 : AUTH_CLAIMED_TIME)
    this.#cursor = this.#end + 1
    for (const text of [sessionId, context.userId, context.otpDeviceId ?? '']) this.#writeText(text)
    for (const time of [context.authTime, context.expiresAt, otpTime, phrTime, otpDeadline, authClaimedTime, untilMs]) this.#writeTime(time)
    this.#end = this.#cursor
  }

  #readText (): string {
    const begin = this.#cursor + 1
    this.#cursor = begin + this.#bytes[begin - 1]!
    return this.#bytes.toString('utf8', begin, this.#cursor)
  }

  #writeText (text: string): void {
    const length = this.#bytes.write(text, this.#cursor + 1)
    this.#bytes[this.#cursor] = length
    this.#cursor += 1 + length
  }

  #readTime (): number {
    this.#cursor += TIME_BYTES
    return this.#view.getFloat64(this.#cursor - TIME_BYTES)
  }

  #writeTime (time: number | null): void {
    if (time === null) return
    this.#view.setFloat64(this.#cursor, time)
    this.#cursor += TIME_BYTES
  }
}

/** FNV-1a. Only the ids of live sessions are stored, and clients do not choose those. */
function hashOf (text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash ^ hash >>> 15
}
