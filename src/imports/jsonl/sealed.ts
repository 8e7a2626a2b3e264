import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { SourceError } from '../person.js'
import type { Line } from './lines.js'
import { FORMAT, readHeader, VERSION } from './record.js'

/*
 * Sealed files: the header in plain text with a random salt, then one line of base64url for each record, and one that ends the file.
 * Each line is AES-256-GCM under a key derived from the key file and the salt. Its nonce is its number and whether it is the last one,
 * so that no line can be moved, left out or added, and a file that was cut has no end.
 */

const SALT_BYTES = 32
const TAG_BYTES = 16

function nonceOf (number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(number), 3)
  nonce[11] = isLast ? 1 : 0
  return nonce
}

const keyOf = (key: Buffer, salt: Buffer) => Buffer.from(hkdfSync('sha256', key, salt, 'countersign moving file', 32))

export interface LineSealer {
  header: string
  line (text: string): string
  /** Line that ends the file. */
  end (): string
}

export function createLineSealer (key: Buffer): LineSealer {
  const salt = randomBytes(SALT_BYTES)
  const derived = keyOf(key, salt)
  let number = 0
  function seal (text: string, isLast: boolean): string {
    const cipher = createCipheriv('aes-256-gcm', derived, nonceOf(number++, isLast))
    return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }
  return {
    header: JSON.stringify({ format: FORMAT, version: VERSION, sealed: salt.toString('base64url') }),
    line: (text) => seal(text, false),
    end: () => seal('', true)
  }
}

/**
 * Opens the lines of a sealed file.
 *
 * @throws {SourceError} if it is not sealed, was sealed under another key, or was changed or cut
 */
export async function * openLines (lines: AsyncIterable<Line>, key: Buffer): AsyncGenerator<Line> {
  let derived: Buffer | null = null
  let [number, isOver] = [0, false]
  for await (const line of lines) {
    const text = line.bytes?.toString('latin1').trim() ?? ''
    if (derived === null) {
      derived = keyOf(key, saltOf(text))
      yield line
    } else if (text !== '' || line.bytes === null) {
      if (isOver) throw new SourceError('The file goes on after its end: it was changed. Nothing of it is imported.')
      const bytes = Buffer.from(text, 'base64url')
      const plain = open(derived, bytes, nonceOf(number, false))
      if (plain === null && open(derived, bytes, nonceOf(number, true)) === null) throw changed()
      isOver = plain === null
      number++
      if (plain !== null) yield { ...line, bytes: plain }
    }
  }
  if (!isOver) throw new SourceError('The file has no end: it was cut. Nothing of it is imported.')
}

const changed = () => new SourceError('The file was sealed under another key, or was changed. Nothing of it is imported.')

function saltOf (text: string): Buffer {
  let header
  try {
    header = readHeader(JSON.parse(text))
  } catch {
    header = null
  }
  if (header?.sealed === undefined) throw new SourceError('The file is not sealed: leave --key-file out.')
  return Buffer.from(header.sealed, 'base64url')
}

function open (key: Buffer, bytes: Buffer, nonce: Buffer): Buffer | null {
  if (bytes.length < TAG_BYTES) return null
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch {
    return null
  }
}

/** Reads a sealed file to its end. @throws {SourceError} as `openLines` */
export async function verifySealed (lines: AsyncIterable<Line>, key: Buffer): Promise<void> {
  const opened = openLines(lines, key)
  while ((await opened.next()).done !== true) continue
}
