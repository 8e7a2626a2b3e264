import { mkdir, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { readConfig, readProcess, settings, type Note } from '../../src/config/config.js'
import { ConfigError } from '../../src/core/config-error.js'
import { misspellings } from '../../src/config/environment.js'
import { storeOf, trialNotice } from '../../src/config/store.js'
import type { Owner } from '../helpers/teardown.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

const ring = (kid: string) => `${kid}:${randomBytes(32).toString('base64url')}`
const keys = { JWT_KEYS: ring('j'), SEAL_KEYS: ring('s') }
const URL_ = 'postgres://ada:hunter2@db.example/app'

function refusal (env: NodeJS.ProcessEnv): ConfigError {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error
  }
  throw new Error('not refused')
}

function notesOf (env: NodeJS.ProcessEnv): Note[] {
  const notes: Note[] = []
  readConfig(env, (note) => { notes.push(note) })
  return notes
}

async function fileOf (t: Owner, text: string, name = 'secret'): Promise<string> {
  const path = join(await temporaryFolder(t), name)
  await writeFile(path, text)
  return path
}

t.test('each secret may be in a file', async (t) => {
  const webhook = { WEBHOOK_URL: 'https://hooks.example.org/hunter2', WEBHOOK_KEYS: ring('w') }
  const mail = { MAIL_URL: 'smtps://user:hunter2@mail.example.org' }
  const secrets = { DATABASE_URL: URL_, REDIS_URL: 'redis://:hunter2@h', ...keys, ...webhook, ...mail, CLIENT_KEYS: ring('c') }
  // Required with MAIL_URL, and no secrets.
  const open = { MAIL_FROM: 'a@example.org', PUBLIC_URL: 'https://example.org' }
  const marked = Object.entries(settings.properties).filter(([, schema]) => 'mayBeInFile' in schema).map(([name]) => name)
  t.strictSame(Object.keys(secrets).sort(), marked.sort())
  const written = Object.entries(secrets).map(async ([name, value]) => [`${name}_FILE`, await fileOf(t, `${value}\n`)] as const)
  const inFiles: Record<string, string> = { ...open, ...Object.fromEntries(await Promise.all(written)) }
  const given = { ...open, ...secrets }
  t.strictSame({ ...readConfig(inFiles) }, { ...readConfig(given) })
  for (const [name, value] of Object.entries(secrets)) {
    const others = { ...given, [name]: '' }
    const file = `${name}_FILE`
    t.strictSame({ ...readConfig({ ...others, [file]: ` ${inFiles[file]}\n` }) }, { ...readConfig(given) }, name)
    t.equal(refusal({ ...given, [file]: inFiles[file] }).variable, file, 'both')
    t.equal(refusal({ ...given, [file]: '/not/there' }).variable, file, 'both, also where there is no such file')
    for (const [what, path] of [['missing', '/not/there/hunter2'], ['a folder', '/tmp'], ['empty', await fileOf(t, '\r\n\n')]] as const) {
      const { variable, message } = refusal({ ...others, [file]: path })
      t.equal(variable, file, `${name}: ${what}`)
      t.notMatch(message, /hunter2|\n/)
    }
    t.notMatch(refusal({ ...others, [file]: await fileOf(t, `x\n${value}`) }).message, /hunter2|\n/)
  }
  t.strictSame({ ...readConfig({ ...given, DATABASE_URL_FILE: '  ' }) }, { ...readConfig(given) }, 'empty is unset')
})

t.test('.env says what the environment does not', async (t) => {
  const folder = await temporaryFolder(t)
  t.strictSame(readProcess({}, folder).notes, [], 'there is none')
  const own = `DATABASE_URL=${URL_}\nJWT_KEYS=${keys.JWT_KEYS}\nSEAL_KEYS=${keys.SEAL_KEYS}\n`
  await writeFile(join(folder, '.env'), `PORT=81\nHOST="0.0.0.0" # all\nexport LOG_LEVEL='warn'\n\nPGPASSWORD=x\n${own}`)
  const env: NodeJS.ProcessEnv = { PORT: '82', HOST: '' }
  const { config, notes } = readProcess(env, folder)
  t.match(config, { port: 82, host: '127.0.0.1', logLevel: 'warn', databaseUrl: URL_ })
  t.equal(env['PGPASSWORD'], 'x', 'drivers read theirs')
  t.match(notes, [{ level: 'info', text: /^\.env is read: DATABASE_URL, JWT_KEYS, LOG_LEVEL, PGPASSWORD, SEAL_KEYS$/ }])
  t.notMatch(JSON.stringify(notes), /hunter2/)

  const file = await fileOf(t, 'postgres://other/app')
  const named = readProcess({ DATABASE_URL_FILE: file }, folder).config
  t.equal(named.databaseUrl, 'postgres://other/app', 'the file that the environment names goes before')
  t.equal(readProcess({ DATABASE_URL: '' }, folder).config.databaseUrl, undefined, 'empty in the environment is said, too')
  await writeFile(join(folder, '.env'), `DATABASE_URL_FILE=${file}\n`)
  t.equal(readProcess({ DATABASE_URL: 'postgres://own/app', ...keys }, folder).config.databaseUrl, 'postgres://own/app')

  await writeFile(join(folder, '.env'), 'PORT=hunter2\n')
  t.throws(() => readProcess({}, folder), { name: 'ConfigError', variable: 'PORT' })
  const other = await temporaryFolder(t)
  await mkdir(join(other, '.env'))
  t.strictSame(readProcess({}, other).notes, [], 'a folder of that name is none of ours')
})

t.test('a name one edit away from ours is noted, and never its value', async (t) => {
  for (const [given, meant] of [
    ['REDIS_URI', 'REDIS_URL'], ['REDISURL', 'REDIS_URL'], ['REDIS_URL_', 'REDIS_URL'], ['JWT_KEY', 'JWT_KEYS'],
    ['SEAL_KESY', 'SEAL_KEYS'], ['SEAL_KEYS_FIEL', 'SEAL_KEYS_FILE'],
    ['OTP_POLCY', 'OTP_POLICY'], ['otp_policy', 'OTP_POLICY'], ['Otp_Polcy', 'OTP_POLICY'], ['TRUSTED_PROXY_S', ''],
    ['TRUSTED_PROXYES', 'TRUSTED_PROXIES'], ['MIGRATES', 'MIGRATE'], ['ISSUER', '']
  ] as const) {
    const notes = notesOf({ [given]: 'hunter2' })
    t.match(notes, meant === '' ? [] : [{ level: 'warn', text: `${given} is ignored: is ${meant} meant?` }], given)
    t.equal(notes.length, meant === '' ? 0 : 1)
  }
  t.strictSame(notesOf({ REDIS_URI: ' ', PATH: '/bin', HOSTNAME: 'x', DATABASE: 'x', JWT_KEYS_DIR: 'x' }), [])
  t.strictSame(misspellings({ 'POR\nT': 'x' }, ['PORT']), [{ given: 'POR?T', meant: 'PORT' }])
})

t.test('where the embedded database would start because of it, such a name is refused', async (t) => {
  for (const given of [
    'DATABSE_URL', 'DATABASE_URI', 'DATABASE_URLS', 'DATABASEURL', 'DATABASE_ULR', 'ATABASE_URL', 'database_url', 'DATABASE-URL',
    'DATABASE_URL_FIL', 'DATABASE_URL_FILES', 'DATABASE_URLFILE'
  ]) {
    const { variable, message } = refusal({ [given]: URL_ })
    t.match(variable, /^DATABASE_URL(_FILE)?$/, given)
    t.match(message, given)
    t.notMatch(message, /hunter2|\n/)
    t.match(notesOf({ [given]: URL_, DATABASE_URL: URL_, ...keys }), [{ level: 'warn' }], `${given}: a warning beside the right one`)
  }
  t.equal(readConfig({ DATABASE_URLX: '' }).databaseUrl, undefined)
})

t.test('service links of Kubernetes are no ports', async (t) => {
  for (const link of ['tcp://10.0.0.1:9090', 'udp://10.0.0.1:53', 'TCP://[fd00::1]:1']) {
    const notes: Note[] = []
    const config = readConfig({ OPS_PORT: link, PORT: link }, (note) => { notes.push(note) })
    t.match(config, { port: 3000, opsPort: undefined }, link)
    t.match(notes, [{ level: 'info', text: /^PORT is ignored/ }, { level: 'info', text: /^OPS_PORT is ignored/ }])
  }
  for (const value of ['http://10.0.0.1:9090', 'tcp:9090', '10.0.0.1:9090']) t.equal(refusal({ OPS_PORT: value }).variable, 'OPS_PORT')
})

t.test('the store is named without user and password', async (t) => {
  t.match(storeOf({ databaseUrl: undefined, dataDir: '/data' }), { kind: 'embedded', name: 'embedded database in /data/postgres' })
  t.match(trialNotice(storeOf({ databaseUrl: undefined, dataDir: 'x' })), /Trial mode/)
  for (const [databaseUrl, name] of [
    [URL_, 'PostgreSQL at db.example/app'], ['postgres://u:hunter2@h1:1,[::1]:2/app', 'PostgreSQL at h1:1,[::1]:2/app'],
    ['postgres://u:hunter2@/app?host=/run/postgresql', 'PostgreSQL at /run/postgresql/app']
  ] as const) {
    const store = storeOf({ databaseUrl, dataDir: 'x' })
    t.strictSame(store, { kind: 'postgres', name })
    t.equal(trialNotice(store), undefined)
  }
})
