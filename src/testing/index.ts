/** `countersign/testing`: helpers for a host's tests of its second factor, in five lines and without a `sleep`. */
export { authenticator, type Authenticator } from './authenticator.js'
export { memoryDatabase, type MemoryDatabase } from './memory-database.js'
export { softPasskey, type Falsified, type SoftPasskey, type SoftPasskeyOptions } from './soft-passkey.js'
