import { formatKey, type KeyKind } from '../../core/keys/key-ring.js'
import { newKey } from '../../core/keys/new-key.js'
import { MisuseError, type Io } from '../io.js'

const kinds: readonly KeyKind[] = ['HS256', 'EdDSA', 'seal']

/** Prints a new entry for JWT_KEYS, SEAL_KEYS or WEBHOOK_KEYS. No other place shows it. */
export function newKeyCommand (io: Io, kind: string): void {
  const known = kinds.find((name) => name === kind)
  if (known === undefined) throw new MisuseError(`A key is one of ${kinds.join(', ')}.`)
  const key = newKey(known)
  io.print({ kid: key.kid, key: formatKey(key) }, [formatKey(key)])
}
