/** argon2id alone, on all cores: what no log-in can be faster than. Started by `fork`: a message says how many hashes to check, the answer is how many seconds that took. */
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
