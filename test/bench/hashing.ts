/**
 * argon2id alone, on all cores: the upper bound for log-ins. Started by `fork`: the message is the number of hashes to check,
 * the answer is the duration in seconds.
 */
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { createHasher } from '../../src/accounts/hasher.js'

const hasher = await createHasher()
const password = randomBytes(16).toString('hex')
const hash = await hasher.hash(password)

process.on('message', (times: number) => {
  const beganAtMs = performance.now()
  let begun = 0
  void Promise.all(Array.from({ length: availableParallelism() }, async () => {
    while (begun++ < times) await hasher.verify(hash, password)
  })).then(() => process.send!((performance.now() - beganAtMs) / 1000))
})
process.once('disconnect', () => process.exit())
process.send!('ready')
