import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createSeal, type Key } from '../../../src/core/keys/seal.js'

const newKey = (kid: string): Key => ({ kid, bytes: randomBytes(32) })
const [old, young, stranger] = [newKey('old'), newKey('new'), newKey('old')]
const place = { table: 'otp_device', row: '1', userId: 'ada' }
const plain = randomBytes(20)

t.test('T6 what is sealed opens where it belongs, and never looks the same', async (t) => {
  const seal = createSeal([old], 'here')
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }),
    (bytes) => seal.open(seal.seal(bytes, place), place).plain.equals(Buffer.from(bytes))))
  const sealed = Array.from({ length: 500 }, () => seal.seal(plain, place))
  t.equal(new Set(sealed.map((text) => text.slice(0, 'old.'.length + 16))).size, 500, 'no nonce twice')
  t.ok(sealed.every((text) => /^old\.[A-Za-z0-9_-]+$/.test(text)))
})

t.test('T6 it opens nowhere else', async (t) => {
  const seal = createSeal([old], 'here')
  const sealed = seal.seal(plain, place)
  const places = [
    { ...place, row: '2' }, { ...place, userId: 'bob' }, { ...place, table: 'otp_key' },
    { table: 'otp_device', row: '1ada', userId: '' }, { table: 'otp_device","1', row: 'ada', userId: '' }
  ]
  for (const elsewhere of places) {
    t.throws(() => seal.open(sealed, elsewhere), JSON.stringify(elsewhere))
  }
  t.throws(() => createSeal([old], 'there').open(sealed, place), 'another namespace')
  t.throws(() => createSeal([stranger], 'here').open(sealed, place), 'another key of that name')
  t.throws(() => createSeal([young], 'here').open(sealed, place), 'a ring without the key')
})

t.test('T6 altered, shortened or empty it does not open', async (t) => {
  const seal = createSeal([old], 'here')
  const [kid, body = ''] = seal.seal(plain, place).split('.')
  const bytes = Buffer.from(body, 'base64url')
  for (let i = 0; i < bytes.length; i++) {
    const altered = Buffer.from(bytes)
    altered[i]! ^= 1
    t.throws(() => seal.open(`${kid}.${altered.toString('base64url')}`, place), `byte ${i}`)
    t.throws(() => seal.open(`${kid}.${bytes.subarray(0, i).toString('base64url')}`, place), `${i} bytes of it`)
  }
  for (const text of ['', '.', 'old', 'old.', body, `OLD.${body}`]) t.throws(() => seal.open(text, place), JSON.stringify(text))
})

t.test('T6 R7 a ring seals with its first key and opens with all', async (t) => {
  const before = createSeal([old], 'here')
  const during = createSeal([young, old], 'here')
  const after = createSeal([young], 'here')
  const sealed = before.seal(plain, place)
  t.same(before.open(sealed, place), { plain, stale: false })
  t.same(during.open(sealed, place), { plain, stale: true }, 'to be sealed anew')
  const anew = during.seal(during.open(sealed, place).plain, place)
  t.same(after.open(anew, place), { plain, stale: false })
  t.throws(() => after.open(sealed, place))
  t.throws(() => createSeal([], 'here'), 'no key at all')
})

t.test('T6 derived keys are of their key, namespace and purpose, and are not the key', async (t) => {
  const [here, there] = [createSeal([young, old], 'here'), createSeal([young, old], 'there')]
  const keys = [here.derive('a'), here.derive('b'), there.derive('a')].flat()
  t.ok(keys.every(({ length }) => length === 32))
  t.equal(new Set([...keys, old.bytes, young.bytes].map((key) => key.toString('hex'))).size, 8)
  t.same(createSeal([old], 'here').derive('a')[0], keys[1], 'the same for every replica')
})
