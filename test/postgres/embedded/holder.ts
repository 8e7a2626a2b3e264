/** Process that takes the lock of a folder, prints the result in one line, and runs until it is killed or its input ends. */
import { takeLock } from '../../../src/postgres/embedded/lock.js'

const dataDir = process.argv[2] ?? ''
try {
  const lock = await takeLock(dataDir)
  process.stdin.on('end', () => { lock.release().then(() => process.exit(0)) }).resume()
  console.log('held')
} catch (error) {
  console.log((error as Error).name)
}
