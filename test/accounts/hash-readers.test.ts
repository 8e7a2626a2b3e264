import { pbkdf2Sync } from 'node:crypto'
import t from 'tap'
import { keepHash, verifyForeignHash } from '../../src/accounts/foreign-hashes.js'

const PASSWORD = 'lètmein 密码'

t.test('P2 a long PBKDF2 hash costs no more than a short one of as many iterations', async (t) => {
  const ITERATIONS = 50_000
  const salt = Buffer.from('seasalt2')
  const plain = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  const hashOf = (bytes: number) =>
    keepHash(`$pbkdf2-sha1$i=${ITERATIONS}$${plain(salt)}$${plain(pbkdf2Sync(PASSWORD, salt, ITERATIONS, bytes, 'sha1'))}`)

  async function leastMs (stored: string): Promise<number> {
    let least = Infinity
    for (let i = 0; i < 4; i++) {
      const before = process.cpuUsage()
      t.equal(await verifyForeignHash(stored, PASSWORD), true)
      least = Math.min(least, process.cpuUsage(before).user / 1000)
    }
    return least
  }

  const [short, long] = [hashOf(20), hashOf(128)]
  t.ok(await leastMs(long) < 3 * await leastMs(short), 'seven blocks would take seven times as long')
  t.equal(await verifyForeignHash(long, `${PASSWORD} `), false)
})
