/**
 * Writes test/fixtures/upgrade: two databases, of the service and of an attached host, as an earlier commit makes them, with people in
 * them. The commit's own build runs on the PostgreSQL server of DATABASE_URL. Run it again only for another commit: the files are facts
 * about that commit.
 *
 *   DATABASE_URL=postgres://… node scripts/upgrade-fixture.js [commit]
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const [,, commit = 'fe11fdd'] = process.argv
const OUTPUT = 'test/fixtures/upgrade'
/** Keys of these files alone. */
const KEYS = {
  JWT_KEYS: 'fixture-jwt:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8',
  SEAL_KEYS: 'fixture-seal:HxAREhMUFRYXGBkaGxwdHh8AAQIDBAUGBwgJCgsMDQ4'
}
const NAMESPACE = 'fixture'

const folder = await mkdtemp(join(tmpdir(), 'countersign-upgrade-'))
const teardowns = []
const owner = { teardown: (work) => teardowns.push(work) }
process.env.REDIS_URL = ''
try {
  await run('sh', ['-c', `git archive ${commit} | tar x -C ${folder}`])
  await symlink(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'))
  // The build of that commit, by its own options; it may be of another version of the compiler.
  await run('node', ['node_modules/typescript-7/lib/tsc.js', '--noCheck'], { cwd: folder })
  const helper = async (name) => await import(pathToFileURL(join(folder, 'build/test/helpers', `${name}.js`)).href)
  const helpers = { ...await helper('app'), ...await helper('person'), ...await helper('staff') }
  const facts = { commit, keys: KEYS, namespace: NAMESPACE, service: await makeService(helpers), host: await makeHost(helpers) }
  await writeFile(`${OUTPUT}/people.json`, `${JSON.stringify(facts, null, 2)}\n`)
} finally {
  for (const work of teardowns.reverse()) await work()
  await rm(folder, { recursive: true })
}

/** What a person needs to go on: credentials, tokens, secret, and the codes that are left. */
function kept ({ username, password, access, refresh, phone, recoveryCodes, deviceId }) {
  return { username, password, access, refresh, secret: phone.secret?.toString('hex') ?? null, recoveryCodes, deviceId }
}

/** Makes the same people at the service and at the host. */
async function makePeople ({ expect, signUp }, app) {
  const ada = await (await signUp(app, 'ada')).enrol()
  const [usedCode] = ada.recoveryCodes
  const recovered = ada.elsewhere()
  expect(200, await recovered.login())
  expect(200, await recovered.recover(ada.recoveryCodes.shift()))
  const unverified = ada.elsewhere()
  expect(200, await unverified.login())
  const ended = ada.elsewhere()
  expect(200, await ended.login())
  expect(200, await ended.verify())
  expect(204, await ended.request('POST', '/token/revoke'))

  const ben = await signUp(app, 'ben')
  expect(200, await ben.login())

  const cyd = await signUp(app, 'cyd')
  expect(200, await cyd.login())
  expect(201, await cyd.create({ name: 'Pending phone' }))

  const eve = await (await signUp(app, 'eve')).enrol()
  const first = kept(eve)
  expect(201, await eve.create({ name: 'Second phone' }))
  expect(200, await eve.confirm())

  const dee = await (await signUp(app, 'dee')).enrol()
  const guesser = dee.elsewhere()
  expect(200, await guesser.login())
  // The last act: the lock is new when the tables are dumped.
  const guesses = []
  for (let i = 0; i < 6; i++) guesses.push((await guesser.verify(String(900001 + i))).statusCode)
  if (guesses.join() !== '400,400,400,400,400,429') throw new Error(`no lock after the guesses: ${guesses.join()}`)
  return {
    usedCode,
    ada: kept(ada),
    recovered: kept(recovered),
    unverified: kept(unverified),
    ended: kept(ended),
    ben: kept(ben),
    cyd: kept(cyd),
    dee: kept(dee),
    guesser: kept(guesser),
    eve: { ...kept(eve), firstSecret: first.secret }
  }
}

async function makeService (helpers) {
  const { app, db, clock } = await helpers.freshApp(owner, {
    ...KEYS,
    REDIS_URL: '',
    // Nothing listens there: the outbox keeps its rows.
    WEBHOOK_URL: 'http://127.0.0.1:9/hook',
    WEBHOOK_PRIVATE: '127.0.0.1',
    WEBHOOK_KEYS: 'fixture-hook:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8'
  }, { namespace: NAMESPACE })
  const gus = await helpers.staffAt({ app, db }, 'gus')
  const people = await makePeople(helpers, app)
  await dump(db.url, 'service.sql')
  return { at: await clock.now(), people: { ...people, gus: kept(gus) } }
}

async function makeHost (helpers) {
  const { app, db, clock } = await helpers.freshHost(owner, { ...KEYS, REDIS_URL: '' }, { namespace: NAMESPACE })
  const people = await makePeople(helpers, app)
  await dump(db.url, 'host.sql')
  return { at: await clock.now(), people }
}

/** Dumps tables and rows without the test clock, in the form that any PostgreSQL and PGlite read statement by statement. */
async function dump (url, name) {
  const { stdout } = await run('pg_dump', [
    '--inserts', '--rows-per-insert=100', '--no-owner', '--no-privileges', '--no-comments', '--exclude-schema=test_clock', url
  ], { maxBuffer: 64 * 1024 * 1024 })
  const lines = stdout.split('\n').filter((line) => !/^(--|SET |SELECT pg_catalog\.set_config|\\|$)/.test(line))
  await writeFile(`${OUTPUT}/${name}`, `${lines.join('\n')}\n`)
}
