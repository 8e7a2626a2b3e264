/** A process that takes the lock of the folder it is given, says in one line how that went, and stays until it is killed or its input ends. */
import { takeLock } from '../../../src/postgres/embedded/lock.js'

const dataDir = process.argv[2] ?? ''
try {
  const lock = await takeLock(dataDir)
  process.stdin.on('end', () => { lock.release().then(() => process.exit(0)) }).resume()
  console.log('held')
} catch (error) {
  console.log((error as Error).name)
}
