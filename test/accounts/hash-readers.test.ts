import { pbkdf2Sync } from 'node:crypto'
import t from 'tap'
import { hashFault, keepHash, verifyForeignHash } from '../../src/accounts/foreign-hashes.js'

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

/** Written by passlib 1.7.4: its own base64, the iterations alone, and no name for SHA-1. */
const ofPasslib = [
  '$pbkdf2$2000$....AfvvvgH7774B....AQ$FvfhEGa3edmLl893pllyI1anv5s',
  '$pbkdf2-sha256$2000$....AfvvvgH7774B....AQ$f1ZQKfCFsK8njPBc967CblqCQrwzhkMVbQd9LLcftbI',
  '$pbkdf2-sha512$2000$....AfvvvgH7774B....AQ$P6Wxef6m3ZiGVaDPMG36gG2kenpjqP/bwbHHecV.4HomS15p7NivZTNFlqUp/AZT4/g.pKjHQo0vYaQh5wLOeA'
]

t.test('P2 a PBKDF2 hash of passlib is read as it is', async (t) => {
  for (const hash of ofPasslib) {
    const stored = keepHash(hash)
    t.equal(hashFault(stored), null, hash)
    t.equal(await verifyForeignHash(stored, PASSWORD), true, hash)
    t.equal(await verifyForeignHash(stored, `${PASSWORD} `), false, hash)
    for (const iterations of ['0', '02000', '2000 ', '2e3', '-2000', 'r=2000']) {
      t.not(hashFault(keepHash(hash.replace('2000', iterations))), null, iterations)
    }
    t.not(hashFault(keepHash(hash.replace('2000', '2000001'))), null, 'above the limit')
  }
})
