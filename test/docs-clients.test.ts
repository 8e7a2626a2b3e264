import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { freshApp } from './helpers/app.js'
import { blocksAfter } from './helpers/doc-blocks.js'
import { need } from './helpers/need.js'
import { signUp } from './helpers/person.js'
import { temporaryFolder } from './helpers/temporary-folder.js'

await need('postgres')

interface Pair { access: string, refresh: string }
interface Options {
  api: string
  store: { read (): Pair | null, write (pair: Pair): void, clear (): void }
  askForCode (): Promise<string>
  lock<T> (work: () => Promise<T>): Promise<T>
}
type Call = (path: string, init?: RequestInit) => Promise<Response>

/** The client of docs/clients.md. */
const [code = ''] = blocksAfter(await readFile('docs/clients.md', 'utf8'), 'client')
const file = join(await temporaryFolder(t), 'client.mjs')
await writeFile(file, code)
const { createClient } = await import(pathToFileURL(file).href) as { createClient (options: Options): Call }

const { app, clock } = await freshApp(t)
const api = await app.listen({ port: 0, host: '127.0.0.1' })

const ACCESS_SECONDS = 600

/** As navigator.locks, of which Node 20 has none: one at a time. */
function oneAtATime (): Options['lock'] {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = last.then(work)
    last = next.catch(() => {})
    return next
  }
}

/** Logs in and verifies, and returns clients in two tabs with one store. */
async function twoTabs (name: string) {
  const ada = await signUp(app, name)
  await ada.enrol()
  let pair: Pair | null = { access: ada.access!, refresh: ada.refresh! }
  const written: Pair[] = []
  let asked = 0
  const options: Options = {
    api,
    store: { read: () => pair, write: (next) => { written.push(pair = next) }, clear: () => { pair = null } },
    async askForCode () {
      asked += 1
      return await ada.nextCode()
    },
    lock: oneAtATime()
  }
  return { ada, tabs: [createClient(options), createClient(options)] as const, written, asked: () => asked, pair: () => pair }
}

t.test('the documented client: two tabs with an old access token refresh once', async (t) => {
  const { tabs: [one, other], written, asked } = await twoTabs('ada')
  t.equal((await one('/account')).status, 200)
  t.equal(written.length, 0)
  await clock.advance(ACCESS_SECONDS + 60)
  const answers = await Promise.all([one('/account'), other('/account'), one('/totp/status')])
  t.same(answers.map(({ status }) => status), [200, 200, 200])
  t.equal(written.length, 1)
  t.equal(asked(), 0)
})

t.test('it steps up where the proof is too old, and the other tab has the newer proof', async (t) => {
  const { tabs: [one, other], asked } = await twoTabs('bea')
  await clock.advance(400)
  t.equal((await one('/session?maxAge=300')).status, 200)
  t.equal(asked(), 1)
  t.equal((await other('/session?maxAge=300')).status, 200)
  t.equal(asked(), 1)
})

t.test('a session that ended is not refreshed, and a refused refresh token is forgotten', async (t) => {
  const { ada, tabs: [one], pair } = await twoTabs('cora')
  t.equal((await ada.request('POST', '/token/revoke')).statusCode, 204)
  const answer = await one('/account')
  t.match({ status: answer.status, code: answer.headers.get('x-refusal') }, { status: 401, code: 'SESSION_ENDED' })
  await clock.advance(ACCESS_SECONDS + 60)
  t.equal((await one('/account')).status, 401)
  t.equal(pair(), null)
})
