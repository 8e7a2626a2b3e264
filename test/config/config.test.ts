import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import Fastify from 'fastify'
import t from 'tap'
import { readConfig, settings } from '../../src/config/config.js'
import { ConfigError } from '../../src/core/config-error.js'

const random = (bytes = 32) => randomBytes(bytes).toString('base64url')
const ed25519 = () => generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64url')
const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64url')
const database = 'postgres://ada:pa55@db.example/app'

function refusal (env: NodeJS.ProcessEnv): ConfigError | undefined {
  try {
    readConfig(env)
    return undefined
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

t.test('defaults are the documented ones, and nothing else is there', async (t) => {
  t.strictSame({ ...readConfig({}) }, {
    port: 3000,
    host: '127.0.0.1',
    opsPort: undefined,
    opsHost: '127.0.0.1',
    metrics: 'on',
    docs: 'on',
    pages: 'on',
    keepAliveSeconds: 72,
    logLevel: 'info',
    dataDir: '.countersign',
    databaseUrl: undefined,
    databasePoolSize: 10,
    migrate: 'on',
    redisUrl: undefined,
    jwtAlg: 'HS256',
    jwtKeys: undefined,
    jwtIssuer: 'countersign',
    jwtAudience: 'countersign',
    sealKeys: undefined,
    accessSeconds: 300,
    refreshSeconds: 86400,
    sessionSeconds: 2592000,
    revocationSeconds: 1,
    passwordMinLength: 8,
    breachedPasswordsUrl: undefined,
    signUp: 'open',
    otpIssuer: 'Countersign',
    otpWindow: 1,
    otpSetupSeconds: 600,
    otpReauthSeconds: 300,
    otpPendingSeconds: 300,
    otpFreshSeconds: 300,
    eventsDays: 400,
    otpRecoveryCodes: 5,
    otpPolicy: 'optional',
    otpGraceDays: 14,
    passkeyOrigins: [],
    passkeyRpId: undefined,
    passkeyUserVerification: 'preferred',
    staffPasskey: 'optional',
    webhookUrl: undefined,
    webhookKeys: undefined,
    webhookPrivate: [],
    clientKeys: undefined,
    publicUrl: undefined,
    mailUrl: undefined,
    mailFrom: undefined,
    mailTls: 'on',
    verifyEmailPath: '/verify-email',
    resetPasswordPath: '/reset-password',
    undoEmailChangePath: '/undo-email-change',
    networkLimits: 'on',
    limitTokenPerMinute: 30,
    limitUsersPerHour: 10,
    limitCreatePerHour: 20,
    limitCodesPerMinute: 60,
    limitMailPerHour: 20,
    limitOtherPerMinute: 600,
    trustedProxies: [],
    corsOrigins: []
  })
})

t.test('the configuration is frozen and its own', async (t) => {
  const config = readConfig({})
  t.throws(() => { (config as { port: number }).port = 1 }, TypeError)
  t.throws(() => config.corsOrigins.push('https://evil.example'), TypeError)
  t.not(config.corsOrigins, settings.properties.CORS_ORIGINS.default)
})

t.test('empty and blank count as unset, white space around is dropped, strangers are ignored', async (t) => {
  const config = readConfig({ PORT: '', HOST: '  ', DATABASE_URL: ' ', JWT_KEYS: '', OTP_WINDOW: ' 2\r', PORTS: 'x', port: 'x' })
  t.equal(config.port, 3000)
  t.equal(config.host, '127.0.0.1')
  t.equal(config.databaseUrl, undefined)
  t.equal(config.jwtKeys, undefined)
  t.equal(config.otpWindow, 2)
})

/** [variable, values taken, values refused] */
const cases: ReadonlyArray<readonly [string, readonly string[], readonly string[]]> = [
  ['PORT', ['0', '1', '65535', '08080'],
    ['65536', '70000', '-1', '+1', '1e3', '0x50', '3e3', '80.0', '80 81', '٣', '１', 'Infinity', '99999999999999999999']],
  ['OPS_PORT', ['0', '9000'], ['70000', 'off']],
  ['HOST', ['0.0.0.0', '::', 'fe80::1%eth0', 'api.example.org', '/run/countersign.sock', '/run/with space/é.sock'],
    ['http://x', 'a b', 'x/y', './x', `/${'x'.repeat(103)}`, '/run/']],
  ['OPS_HOST', ['::1', '/run/ops.sock'], ['x/y', '/']],
  ['KEEP_ALIVE_SECONDS', ['1', '3600'], ['0', '3601']],
  ['LIMIT_TOKEN_PER_MINUTE', ['1', '1000000'], ['0', '1000001']],
  ['LOG_LEVEL', ['silent', 'fatal', 'trace'], ['INFO', 'verbose']],
  ['DATA_DIR', ['.', '/var/lib/x', 'with space/é'], ['a\nb']],
  ['DATABASE_POOL_SIZE', ['1', '100'], ['0', '1001']],
  ['MIGRATE', ['on', 'off'], ['true', '1', 'On']],
  ['SIGN_UP', ['open', 'closed'], ['on', 'no']],
  ['NETWORK_LIMITS', ['on', 'off'], ['false', 'onoff']],
  ['JWT_ALG', ['HS256', 'EdDSA'], ['none', 'hs256', 'RS256', 'HS512']],
  ['JWT_ISSUER', ['https://id.example.org/', 'Ünï'], ['a\u0000b', 'x'.repeat(256)]],
  ['JWT_AUDIENCE', ['api'], ['a\nb']],
  ['REDIS_URL', ['redis://h', 'rediss://u:p@h:6380/2', 'redis+sentinel://:p@a:1,b:2/main', 'rediss+sentinel://a:1/main',
    'redis+cluster://a:1,b:2', 'rediss+cluster://a:1', 'unix:///run/redis.sock', 'unix://u:p@/run/redis.sock?db=2', 'redis://:a/b#c?d@h'],
  ['h:6379', 'http://h', 'redis:h', 'redis+foo://h', 'unix://run/redis.sock', 'unix:///run/redis/', 'unix:///run/redis?x=1',
    'redis://h h', 'redis://']],
  ['ACCESS_SECONDS', ['1', '86400'], ['0', '86401', '5m', '300s']],
  ['OTP_ISSUER', ['A', 'Acme & Söhne / 100% 😀', '😀'.repeat(64)], ['Acme: Bank', 'x'.repeat(65), 'a\tb', '\ud800']],
  ['OTP_WINDOW', ['0', '1', '2'], ['3', '-1']],
  ['OTP_RECOVERY_CODES', ['1', '20'], ['0', '21']],
  ['OTP_POLICY', ['optional', 'required', 'staff'], ['on', 'all', 'Required']],
  ['OTP_GRACE_DAYS', ['0', '365'], ['-1', '366', '1.5']],
  ['EVENTS_DAYS', ['1', '3650'], ['0', '3651']],
  ['WEBHOOK_PRIVATE', ['10.0.0.7', '10.0.0.0/8, ::1'], ['on', 'off', '0.0.0.0/0', '::/0', '10.1', 'hooks.internal', '::ffff:10.0.0.1']],
  ['WEBHOOK_URL', [], ['ftp://h', 'hooks.example.org', 'https://', 'https://a b', 'https://h:x/', 'http://hooks.example.org', 'HTTPS://h',
    'https://127.0.0.1/', 'https://[::1]/', 'https://10.1/', 'https://2852039166/', 'https://[::ffff:a9fe:a9fe]/']],
  ['PASSWORD_MIN_LENGTH', ['8', '15', '128'], ['7', '129']],
  ['BREACHED_PASSWORDS_URL', ['https://r.example.org/range', 'https://r.example.org', 'http://127.0.0.1:8080/range', 'http://[::1]/'],
    ['http://range.example.org', 'https://u:p@range.example.org', 'https://range.example.org/?a=b', 'https://range.example.org/#a',
      'ftp://h', 'range.example.org', 'http://127.0.0.1.example.org/']],
  ['REVOCATION_SECONDS', ['1', '300'], ['0', '0.5', '301']],
  ['TRUSTED_PROXIES', ['10.0.0.1', '10.0.0.0/8, 192.168.0.0/16', '2001:db8::/32', '::1', 'unix', '10.0.0.1,unix'],
    ['*', 'true', 'loopback', '0.0.0.0/0', '::/0', '10.0.0.0/33', '::1/129', '10.0.0.0/08', '10.1', '010.0.0.1', '::ffff:10.0.0.1',
      '::ffff:0:0/96', '10.0.0.1,', 'proxy.example', 'unix:/run/x.sock', 'Unix', '[::1]', '10.0.0.1:443']],
  ['CORS_ORIGINS', ['https://app.example.org', 'http://localhost:5173,https://a.example', 'http://[::1]:8080'],
    ['*', 'null', 'https://*.example.org', 'https://app.example.org/', 'https://app.example.org/x', 'https://App.example.org',
      'https://a.example:443', 'https://u:p@a.example', 'https://a.example?q', 'ftp://a.example', 'app.example.org',
      'https://a.example https://b.example']],
  ['PASSKEY_ORIGINS', ['https://app.example.org', 'http://localhost:5173', 'http://app.localhost:3000,https://app.example.org:8443',
    'https://app.example.org,android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck'],
  ['*', 'null', 'https://app.example.org/', 'https://app.example.org/x', 'https://App.example.org', 'https://a.example:443',
    'http://app.example.org', 'http://127.0.0.1:3000', 'https://10.0.0.1', 'http://[::1]:3000', 'https://u:p@a.example',
    'app.example.org', 'ftp://a.example', 'android:apk-key-hash:short', 'ios:bundle-id:org.example']]
]

t.test('K2 the RP id is the host of an origin or a parent domain of it, and a passkey of staff needs passkeys', async (t) => {
  const origins = { PASSKEY_ORIGINS: 'https://login.example.org,https://example.com' }
  for (const PASSKEY_RP_ID of ['login.example.org', 'example.org', 'example.com']) {
    t.equal(refusal({ ...origins, PASSKEY_RP_ID }), undefined, PASSKEY_RP_ID)
  }
  for (const PASSKEY_RP_ID of ['ample.org', 'www.example.org', 'example.net', 'a.login.example.org', 'https://example.org']) {
    t.match(refusal({ ...origins, PASSKEY_RP_ID })?.message, /^PASSKEY_RP_ID must be the host/, PASSKEY_RP_ID)
  }
  t.match(refusal({ PASSKEY_RP_ID: 'example.org' })?.message, /^PASSKEY_RP_ID must/, 'without origins')
  const served = { DATABASE_URL: 'postgres://127.0.0.1/x', REDIS_URL: '' }
  t.match(refusal({ ...served, STAFF_PASSKEY: 'required' })?.message, /^STAFF_PASSKEY must be optional/)
  t.equal(refusal({ ...origins, STAFF_PASSKEY: 'required' }), undefined)
  t.equal(refusal({ STAFF_PASSKEY: 'required' }), undefined, 'the embedded database has passkeys at localhost')
})

for (const [variable, taken, refused] of cases) {
  t.test(`${variable}: what is taken and what is refused, by name and without the value`, async (t) => {
    for (const value of taken) t.equal(refusal({ [variable]: value })?.message, undefined, `takes ${JSON.stringify(value)}`)
    for (const value of refused) {
      const error = refusal({ [variable]: value })
      t.equal(error?.variable, variable, `refuses ${JSON.stringify(value)}`)
      t.match(error?.message, new RegExp(`^${variable} must [^\\n]+\\.$`), 'in one line')
    }
  })
}

t.test('no refusal repeats its value', async (t) => {
  for (const variable of Object.keys(settings.properties)) {
    const secret = `\tQ7${random()}\n*`
    const error = refusal({ [variable]: ` x${secret}${'y'.repeat(300)}` })
    t.equal(error?.variable, variable)
    t.notMatch(`${error?.message} ${error?.stack}`, secret.trim().slice(0, 20), variable)
  }
})

t.test('Fastify takes every proxy that we take', async (t) => {   // L1
  const { trustedProxies } = readConfig({ TRUSTED_PROXIES: '10.0.0.1,10.0.0.0/8,2001:db8::/32,::1,fe80::/10' })
  t.doesNotThrow(() => Fastify({ trustProxy: trustedProxies }))
})

t.test('lives are ordered: access, refresh, session', async (t) => {   // J7
  t.equal(refusal({ ACCESS_SECONDS: '600', REFRESH_SECONDS: '599' })?.variable, 'REFRESH_SECONDS')
  t.equal(refusal({ REFRESH_SECONDS: '600', SESSION_SECONDS: '599' })?.variable, 'SESSION_SECONDS')
  t.equal(refusal({ ACCESS_SECONDS: '600', REFRESH_SECONDS: '600', SESSION_SECONDS: '600' }), undefined)
})

t.test('two servers need two ports', async (t) => {
  t.equal(refusal({ PORT: '8080', OPS_PORT: '8080' })?.variable, 'OPS_PORT')
  t.equal(refusal({ OPS_PORT: '3000' })?.variable, 'OPS_PORT', 'also against the default')
  t.equal(refusal({ PORT: '0', OPS_PORT: '0' }), undefined)
})

t.test('a shared database needs shared keys', async (t) => {   // J9
  t.equal(refusal({ DATABASE_URL: database })?.variable, 'JWT_KEYS')
  t.notMatch(refusal({ DATABASE_URL: 'postgres://root:hunter2@127.0.0.1/y' })?.message, 'hunter2',
    'nor is the address of the database told then')
  t.equal(refusal({ DATABASE_URL: database, JWT_KEYS: `a:${random()}` })?.variable, 'SEAL_KEYS')
  t.equal(refusal({ DATABASE_URL: database, SEAL_KEYS: `a:${random()}` })?.variable, 'JWT_KEYS')
  const keys = { JWT_KEYS: `a:${random()}`, SEAL_KEYS: `a:${random()}` }
  const whatPgAndLibpqTake = [
    'postgres://u@/db?host=/run/postgresql', 'postgres://u:p@%2Frun%2Fpostgresql:5433/db', 'postgres://u:a#b@h/db',
    'postgres://u:a/b@h/db', 'postgres://u:a?b@h:1/db', 'postgres://u:a%23%2Fb@h/db', 'postgres://h1,h2/db',
    'postgres://u:p@h1:1,h2:2/db?target_session_attrs=read-write', 'postgres://u:p w@h/db', 'postgres://u:p@[::1]:5,[::2]/db'
  ]
  for (const url of [database, 'postgresql:///app?host=/run/postgresql', 'postgres://127.0.0.1', ...whatPgAndLibpqTake]) {
    t.equal(readConfig({ ...keys, DATABASE_URL: url }).databaseUrl, url)
  }
  const refused = [
    'mysql://h/d', 'h:5432', 'postgres://', 'postgres://h:x/d', 'postgres:h', 'postgres://h/d?target_session_attrs=standby',
    'postgres://h/d?sslrootcert=/not/there', 'postgres://u:%ff@h/d', 'postgres://h:70000/d'
  ]
  for (const url of refused) t.equal(refusal({ ...keys, DATABASE_URL: url })?.variable, 'DATABASE_URL', url)
})

t.test('a ring is read in its order', async (t) => {
  const [one, two] = [randomBytes(32), randomBytes(64)]
  const { jwtKeys } = readConfig({ JWT_KEYS: `new_1:${one.toString('base64url')}, old-0:${two.toString('base64url')}` })
  t.strictSame(jwtKeys, [{ kid: 'new_1', bytes: one }, { kid: 'old-0', bytes: two }])
})

const weak = (bytes: Buffer | string) => `a:${Buffer.from(bytes).toString('base64url')}`
const twice = random()
const badRings: ReadonlyArray<readonly [why: string, ring: string]> = [
  ['no kid', random()], ['an empty kid', `:${random()}`], ['a long kid', `${'k'.repeat(33)}:${random()}`],
  ['a kid with a dot', `a.b:${random()}`],
  ['no key', 'a:'], ['a trailing comma', `a:${random()},`], ['padding', `a:${random()}=`],
  ['plain base64', `a:${Buffer.alloc(32, '\xfb\xff\xfe', 'latin1').toString('base64')}`],
  ['stray bits at the end', `a:${Buffer.concat([randomBytes(31), Buffer.alloc(1)]).toString('base64url').slice(0, -1)}B`],
  ['31 bytes', `a:${random(31)}`], ['one byte value', weak(Buffer.alloc(32, 7))],
  ['a typed default', weak('changemechangemechangemechangeme')],
  ['a kid twice', `a:${random()},a:${random()}`], ['a key twice', `a:${twice},b:${twice}`],
  ['a weak second key', `a:${random()},${weak(Buffer.alloc(40)).replace('a', 'b')}`]
]

for (const variable of ['JWT_KEYS', 'SEAL_KEYS', 'WEBHOOK_KEYS', 'CLIENT_KEYS']) {
  t.test(`${variable}: bad rings are refused, and never printed`, async (t) => {   // J9
    for (const [why, ring] of badRings) {
      const error = refusal({ [variable]: ring })
      t.equal(error?.variable, variable, why)
      for (const part of ring.split(/[:,]/).filter((part) => part.length > 8)) t.notOk(error?.message.includes(part), 'without the value')
    }
  })
}

t.test('EdDSA takes Ed25519 private keys in PKCS8 DER, each once', async (t) => {   // J9
  const [key, other] = [ed25519(), ed25519()]
  t.equal(readConfig({ JWT_ALG: 'EdDSA', JWT_KEYS: `a:${key},b:${other}` }).jwtKeys?.length, 2)
  const header = Buffer.from(key, 'base64url').subarray(0, 16)
  const constant = Buffer.concat([header, Buffer.alloc(32, 1)]).toString('base64url')
  const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).toString('base64url')
  const refused = {
    'an HS256 key': `a:${random()}`,
    RSA: `a:${rsa}`,
    'a public key': `a:${publicKey}`,
    'a constant seed': `a:${constant}`,
    'one key twice': `a:${key},b:${key}`
  }
  for (const [why, keys] of Object.entries(refused)) {
    t.equal(refusal({ JWT_ALG: 'EdDSA', JWT_KEYS: keys })?.variable, 'JWT_KEYS', why)
  }
})

t.test('no key serves both uses', async (t) => {   // J9
  const key = random()
  t.equal(refusal({ JWT_KEYS: `a:${random()},b:${key}`, SEAL_KEYS: `c:${random()},d:${key}` })?.variable, 'SEAL_KEYS')
  const der = ed25519()
  const seed = Buffer.from(der, 'base64url').subarray(16).toString('base64url')
  for (const same of [der, seed]) {
    t.equal(refusal({ JWT_ALG: 'EdDSA', JWT_KEYS: `a:${der}`, SEAL_KEYS: `b:${same}` })?.variable, 'SEAL_KEYS')
  }
})

t.test('services that follow the revocations have keys of their own, and need the bound of a second', async (t) => {
  const [key, other] = [random(), random()]
  t.equal(readConfig({ CLIENT_KEYS: `b:${key},a:${other}` }).clientKeys?.length, 2)
  for (const taken of [{ SEAL_KEYS: `s:${key}` }, { JWT_KEYS: `j:${key}` }, { WEBHOOK_KEYS: `w:${key}` }]) {
    t.equal(refusal({ ...taken, CLIENT_KEYS: `a:${other},b:${key}` })?.variable, 'CLIENT_KEYS', 'J9 no key serves two uses')
  }
  t.equal(refusal({ CLIENT_KEYS: `a:${key}`, REVOCATION_SECONDS: '2' })?.variable, 'REVOCATION_SECONDS')
})

t.test('a webhook needs keys of its own, and leads out over https but for addresses that are named', async (t) => {
  const [key, other] = [random(), random()]
  const url = 'https://hooks.example.org/countersign?of=ada'
  t.equal(refusal({ WEBHOOK_URL: url })?.variable, 'WEBHOOK_KEYS')
  t.equal(readConfig({ WEBHOOK_URL: url, WEBHOOK_KEYS: `b:${key},a:${other}` }).webhookKeys?.length, 2)
  t.equal(refusal({ WEBHOOK_KEYS: `a:${key}` }), undefined, 'keys may be there before the address is')
  for (const taken of [{ SEAL_KEYS: `s:${key}` }, { JWT_KEYS: `j:${key}` }]) {
    t.equal(refusal({ ...taken, WEBHOOK_URL: url, WEBHOOK_KEYS: `a:${other},b:${key}` })?.variable, 'WEBHOOK_KEYS',
      'J9 no key serves two uses')
  }
  for (const inside of ['http://hooks.internal/', 'https://10.0.0.7/', 'http://[::1]:8080/', 'http://localhost:3000/']) {
    const env = { WEBHOOK_URL: inside, WEBHOOK_KEYS: `a:${key}` }
    t.equal(refusal(env)?.variable, 'WEBHOOK_URL', inside)
    t.equal(readConfig({ ...env, WEBHOOK_PRIVATE: '10.0.0.0/8,::1' }).webhookUrl, inside)
  }
  for (const other of ['https://169.254.169.254/', 'https://10.0.0.8/', 'http://8.8.8.8/']) {
    t.equal(refusal({ WEBHOOK_URL: other, WEBHOOK_KEYS: `a:${key}`, WEBHOOK_PRIVATE: '10.0.0.7' })?.variable, 'WEBHOOK_URL',
      `${other}: another one was named`)
  }
  t.equal(readConfig({ WEBHOOK_URL: 'https://8.8.8.8/', WEBHOOK_KEYS: `a:${key}` }).webhookUrl, 'https://8.8.8.8/')
})

t.test('.env.example says what the schema says', async (t) => {
  const example = await readFile('.env.example', 'utf8')
  const entries = [...example.matchAll(/^# (.+)\n# ([A-Z_]+)=(.*)$/gm)]
    .map(([, description, name, initial]) => [name, description, initial])
  t.strictSame(entries,
    Object.entries(settings.properties).map(([name, schema]) => [name, schema.description, String(schema.default ?? '')]))
  t.notMatch(example, /^[^#\n]/m, 'every line is commented out')
  t.strictSame({ ...readConfig(Object.fromEntries(entries.map(([name, , initial]) => [name, initial]))) }, { ...readConfig({}) })
})
