import t from 'tap'
import { hashFault, isUnusable, keepDjangoHash, verifyForeignHash } from '../../src/accounts/foreign-hashes.js'

const djangoHashFault = (encoded: string) => hashFault(keepDjangoHash(encoded))
const verifyDjangoHash = verifyForeignHash
import { createHasher } from '../../src/accounts/hasher.js'

const TYPED = 'lètmein 密码'

/** Python's hashlib made the first four. The others are from the tests of Django or of its ports to other languages. */
const hashes: Array<[what: string, password: string, encoded: string]> = [
  ['pbkdf2_sha256', TYPED, 'pbkdf2_sha256$1000$seasalt2$dtrVgyAEEoTcunV5xi42xuNE381fveSvD7QbMqXVe+M='],
  ['pbkdf2_sha256, a million iterations', TYPED, 'pbkdf2_sha256$1000000$s$NQHbqJ7zbXTrzeaohniO1QXtjinGcMseBMEUJt9r1NA='],
  ['pbkdf2_sha1', TYPED, 'pbkdf2_sha1$1000$seasalt2$LG+ln1EVFZHS/V7E52RAUl2dWM4='],
  ['scrypt', TYPED, 'scrypt$1024$seasalt$8$2$0poB6U8+mhN3IeVE2Q+00pyRehK8dRgtqbjAzVWYVcwJJkeD7whZ1SxOsIFy1ijULhnDTq6FLNZctegql1mGkQ=='],
  [
    'scrypt as Django 5 has it', 'lètmein',
    'scrypt$16384$seasalt$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/vBAVnnP3hdYqJuRi+mJn6ji6ze3Fbb7JEFPKGpuEf5vw=='
  ],
  ['pbkdf2_sha256 of Django 1.9', 'ExjGmyUT73bFoT', 'pbkdf2_sha256$24000$KQ8zeK6wKRuR$cmhbSt1XVKuO4FGd9+AX8qSBD4Z0395nZatXTJpEtTY='],
  [
    'argon2id', 'Parity-Pass-2026 ü',
    'argon2$argon2id$v=19$m=102400,t=2,p=8$YWJjZGVmZ2hpamtsbW5vcHFyc3R1dg$IgorAEoC45Hed6TrnrYvCyIvYcj3785+rmJayoEyW88'
  ],
  ['argon2i', 'ExjGmyUT73bFoT', 'argon2$argon2i$v=19$m=512,t=2,p=2$S1E4emVLNndLUnVS$RUET3AC8iXvcVPD2TRjvVQ'],
  ['bcrypt_sha256', 'ExjGmyUT73bFoT', 'bcrypt_sha256$$2b$12$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTXK']
]

for (const [what, password, encoded] of hashes) {
  t.test(`P2 ${what}: the right password and no other`, async (t) => {
    t.equal(djangoHashFault(encoded), null)
    t.equal(await verifyDjangoHash(keepDjangoHash(encoded), password), true)
    t.equal(await verifyDjangoHash(keepDjangoHash(encoded), `${password} `), false)
    t.equal(await verifyDjangoHash(keepDjangoHash(encoded), ''), false)
    t.equal(await verifyDjangoHash(keepDjangoHash(encoded), encoded), false)
  })
}

/** Each of these would keep a core or the memory busy. */
const costly = [
  'pbkdf2_sha256$50000000$salt$dtrVgyAEEoTcunV5xi42xuNE381fveSvD7QbMqXVe+M=',
  'pbkdf2_sha1$2000001$salt$LG+ln1EVFZHS/V7E52RAUl2dWM4=',
  'pbkdf2_sha256$9999999999$salt$dtrVgyAEEoTcunV5xi42xuNE381fveSvD7QbMqXVe+M=',
  'scrypt$1048576$seasalt$8$1$0poB6U8+mhN3IeVE2Q+00pyRehK8dRgtqbjAzVWYVcwJJkeD7whZ1SxOsIFy1ijULhnDTq6FLNZctegql1mGkQ==',
  'scrypt$1024$seasalt$8$100000$0poB6U8+mhN3IeVE2Q+00pyRehK8dRgtqbjAzVWYVcwJJkeD7whZ1SxOsIFy1ijULhnDTq6FLNZctegql1mGkQ==',
  'argon2$argon2id$v=19$m=4194304,t=2,p=8$YWJjZGVmZ2hpamtsbW5vcHFyc3R1dg$IgorAEoC45Hed6TrnrYvCyIvYcj3785+rmJayoEyW88',
  'argon2$argon2id$v=19$m=102400,t=4000,p=8$YWJjZGVmZ2hpamtsbW5vcHFyc3R1dg$IgorAEoC45Hed6TrnrYvCyIvYcj3785+rmJayoEyW88',
  'scrypt$32768$seasalt$12$16$0poB6U8+mhN3IeVE2Q+00pyRehK8dRgtqbjAzVWYVcwJJkeD7whZ1SxOsIFy1ijULhnDTq6FLNZctegql1mGkQ==',
  'scrypt$2$seasalt$262144$16$0poB6U8+mhN3IeVE2Q+00pyRehK8dRgtqbjAzVWYVcwJJkeD7whZ1SxOsIFy1ijULhnDTq6FLNZctegql1mGkQ==',
  'bcrypt_sha256$$2b$15$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTXK',
  'bcrypt_sha256$$2b$31$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTXK'
]

t.test('P2 what costs too much is refused at the import, and at the login without the work', async (t) => {
  for (const encoded of costly) {
    t.match(djangoHashFault(encoded), /costs more/, encoded)
    const startedAtMs = performance.now()
    t.equal(await verifyDjangoHash(keepDjangoHash(encoded), TYPED), false)
    t.ok(performance.now() - startedAtMs < 100, 'without the work')
  }
})

const unreadable = [
  '', 'password', 'pbkdf2_sha256', 'pbkdf2_sha256$', 'pbkdf2_sha256$0$salt$dtrVgyAEEoTcunV5xi42xuNE381fveSvD7QbMqXVe+M=',
  'pbkdf2_sha256$-1$salt$dtrVgyAEEoTcunV5xi42xuNE381fveSvD7QbMqXVe+M=',
  'pbkdf2_sha256$1e3$salt$dtrVgyAEEoTcunV5xi42xuNE381fveSvD7QbMqXVe+M=',
  'pbkdf2_sha256$1000$salt$', 'pbkdf2_sha256$1000$salt$AAAA', 'pbkdf2_sha256$1000$$dtrVgyAEEoTcunV5xi42xuNE381fveSvD7QbMqXVe+M=',
  'scrypt$1000$seasalt$8$2$0poB6U8+mhN3IeVE2Q+00pyRehK8dRgtqbjAzVWYVcwJJkeD7whZ1SxOsIFy1ijULhnDTq6FLNZctegql1mGkQ==',
  'scrypt$65536$seasalt$1$1$0poB6U8+mhN3IeVE2Q+00pyRehK8dRgtqbjAzVWYVcwJJkeD7whZ1SxOsIFy1ijULhnDTq6FLNZctegql1mGkQ==',
  'argon2$', 'argon2$argon2id$v=19', 'toString$x', '__proto__$x',
  'bcrypt_sha256$', 'bcrypt_sha256$$2b$12$short',
  'bcrypt_sha256$$2b$12$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTX',
  'bcrypt_sha256$2b$12$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTXK',
  'bcrypt_sha256$$2b$03$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTXK',
  'bcrypt_sha256$$2b$32$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTXK',
  'bcrypt_sha256$$2b$1e$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTXK',
  'bcrypt_sha256$$2x$12$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTXK',
  'bcrypt_sha256$$2b$12$LZSJchsWG/DrBy1erNs4eeYo6tZNlLFQmONdxN9HPesa1EyXVcTXK\n',
  'md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3', 'sha1$$6d138ca3ae545631b3abd71a4f076ce759c5700b', 'pbkdf2_wrapped_md5$1$salt$AAAA'
]

t.test('E4 what cannot be read is refused, never an exception, and never right', async (t) => {
  for (const encoded of unreadable) {
    t.type(djangoHashFault(encoded), 'string', encoded)
    t.equal(await verifyDjangoHash(keepDjangoHash(encoded), ''), false, encoded)
  }
})

t.test('the hasher tells ours from Django\'s, and neither from nothing', async (t) => {
  const hasher = await createHasher(2)
  const [, password, encoded] = hashes[0]!
  const kept = keepDjangoHash(encoded)
  t.equal(await hasher.verify(kept, password), true)
  t.equal(await hasher.verify(kept, 'another'), false)
  t.not(await hasher.renew(kept, 'x'), null, 'becomes argon2id at the next login')
  t.equal(await hasher.verify(encoded, password), false, 'without our mark it is no hash')
  t.ok(isUnusable('!pbnLAuIGbL16Wcf5MnEumzdcyNsVCsInvs6wZF74'))
  for (const typed of ['!', '', '!pbnLAuIGbL16Wcf5MnEumzdcyNsVCsInvs6wZF74']) t.equal(await hasher.verify('!', typed), false)

  // Our hashes use the normal form, so that every keyboard gives the same hash; Django's use the typed text.
  const decomposed = 'e\u0301tude no. 4'
  const own = await hasher.hash(decomposed.normalize('NFC'))
  t.equal(await hasher.verify(own, decomposed), true)
  t.equal(await hasher.renew(own, 'x'), null)
})
