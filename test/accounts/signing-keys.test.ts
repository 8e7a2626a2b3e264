/** A new key is published before it signs. */
import { generateKeyPairSync } from 'node:crypto'
import t, { type Test } from 'tap'
import { serviceMigrations } from '../../migrations/index.js'
import { createSigningKeys, HELD_SECONDS } from '../../src/accounts/signing-keys.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb } from '../../src/tables/db.js'
import { freshApp, type App } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { opened } from '../helpers/jws.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const newKey = (kid: string) => ({
  kid, bytes: generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }) as Buffer
})

async function stage (t: Test) {
  const { url, clock } = await freshDatabase(t)
  const proxy = await tcpProxy(t, targetOf(url))
  const pool = openPostgres(proxy.url(url), 2, () => {})
  t.teardown(() => pool.close())
  const migrating = openPostgres(url, 1, () => {}, 0)
  await migrateUp(migrating.dialect, serviceMigrations).finally(() => migrating.close())
  let nowMs = 0
  async function ring (keys: Array<ReturnType<typeof newKey>>, isThere = true) {
    const held: string[] = []
    const made = createSigningKeys({
      db: createDb(pool.dialect),
      keys,
      clockMs: () => nowMs,
      isKnownAway: () => false,
      fatal: () => t.fail('fatal'),
      held: (kid) => { held.push(kid) }
    })
    t.teardown(() => made.stop())
    await made.start(isThere)
    return { held, current: () => keys[made.current()]!.kid, place: made.current }
  }
  return { ring, clock, proxy, pass: (seconds: number) => { nowMs += seconds * 1000 } }
}

t.test('a new first key signs 40 s after a first process had it; a process that starts later signs with it at once', async (t) => {
  const { ring, clock, pass } = await stage(t)
  const [one, two, three] = ['one', 'two', 'three'].map(newKey) as [ReturnType<typeof newKey>, ...Array<ReturnType<typeof newKey>>]
  t.equal((await ring([one])).current(), 'one', 'the only key signs at once')
  await clock.advance(3_600)
  const first = await ring([two!, one])
  t.same([first.current(), first.held], ['one', ['one']])
  pass(HELD_SECONDS - 1)
  t.equal(first.current(), 'one')
  pass(1)
  t.equal(first.current(), 'two')
  await clock.advance(20)
  const second = await ring([two!, one])
  t.equal(second.current(), 'one', 'another process counts from the first one')
  pass(20)
  t.equal(second.current(), 'two')
  await clock.advance(20)
  const third = await ring([two!, one])
  t.same([third.current(), third.held], ['two', []], 'a restart goes back to no former key')
  t.equal((await ring([three!, two!, one])).current(), 'two', 'the newest one that is published')
  await clock.advance(40)
  t.equal((await ring([three!, two!])).current(), 'three')
})

t.test('keys that are all new, the same name with another key, and PostgreSQL that comes later', async (t) => {
  const { ring, clock, proxy } = await stage(t)
  const [one, two] = [newKey('one'), newKey('two')]
  t.equal((await ring([two, one])).current(), 'two', 'with nothing to go by, the first one')
  await clock.advance(60)
  t.equal((await ring([newKey('two'), one])).current(), 'one', 'its name was published, not the key')
  await proxy.cut()
  const late = await ring([newKey('new'), one], false)
  t.throws(late.place, { code: 'UNAVAILABLE' })
  t.equal((await ring([one], false)).current(), 'one', 'a ring of one waits for nothing')
  await proxy.restore()
  await until('the key that signs', () => { try { return late.current() === 'one' } catch { return false } })
})

t.test('the service: the new key is in the JWK Set at once, tokens are signed by the former one until then', async (t) => {
  const [old, young] = ['old', 'new'].map((kid) => `${kid}:${newKey(kid).bytes.toString('base64url')}`) as [string, string]
  const { app, clock, another } = await freshApp(t, { JWT_ALG: 'EdDSA', JWT_KEYS: old })
  await clock.advance(60)
  const kidAt = async (of: App, name: string): Promise<unknown> => {
    const person = await signUp(of, name)
    expect(200, await person.login())
    return opened(person.access!).header['kid']
  }
  const rotating = await another({ JWT_KEYS: `${young},${old}` })
  const answer = await rotating.inject('/.well-known/jwks.json')
  t.same(answer.json<{ keys: Array<{ kid: string }> }>().keys.map(({ kid }) => kid), ['new', 'old'])
  t.equal(answer.headers['cache-control'], 'public, max-age=15')
  t.equal(await kidAt(rotating, 'ada'), 'old')
  t.equal(await kidAt(app, 'bob'), 'old')
  await clock.advance(41)
  const later = await another({ JWT_KEYS: `${young},${old}` })
  t.equal(await kidAt(later, 'cyd'), 'new')
})
