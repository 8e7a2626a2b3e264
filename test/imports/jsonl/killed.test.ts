import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { freshApp } from '../../helpers/app.js'
import { start } from '../../helpers/command.js'
import { need } from '../../helpers/need.js'
import { temporaryFolder } from '../../helpers/temporary-folder.js'
import { sized } from '../../helpers/thorough.js'
import { until } from '../../helpers/wait.js'

await need('postgres')
t.setTimeout(600_000)

const KILLS = sized(3, 20)
const LINES = sized(6_000, 12_000)

const { db, settings } = await freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
const file = join(await temporaryFolder(t), 'people.jsonl')
const lineOf = (i: number) => JSON.stringify({
  username: `user${i}`,
  totp: [{ secret: { text: `a secret of 20 bytes and ${i}` } }],
  recoveryCodes: [{ code: `abcdefgh${i}` }, { code: `ijklmnop${i}` }]
})
await writeFile(file, Array.from({ length: LINES }, (_, i) => `${lineOf(i)}\n`).join(''))

interface Counts { accounts: number, imports: number, users: number, devices: number, codes: number, events: number }
const counts = async (): Promise<Counts> => (await db.query<Counts & Record<string, unknown>>(`
  select (select count(*)::int from account) as accounts, (select count(*)::int from account_import) as imports,
    (select count(*)::int from otp_user) as users, (select count(*)::int from otp_totp) as devices,
    (select count(*)::int from otp_recovery_code) as codes, (select count(*)::int from otp_event) as events`))[0]!

t.test('killed at random rows, it leaves nobody by halves and goes on', async (t) => {
  let kills = 0
  for (let before = await counts(); kills < KILLS && before.accounts < LINES; before = await counts()) {
    const running = start(['import', 'jsonl', file], settings)
    const isOver = once(running, 'close')
    // Statements of a batch take about as long as this: the kill meets any of them.
    await until('the first rows of this run', async () => (await db.query(
      "select 1 from pg_stat_activity where datname = current_database() and query like '%json_to_recordset%' and pid <> pg_backend_pid()"
    )).length > 0 || running.exitCode !== null, 60_000)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 150))
    running.kill('SIGKILL')
    await isOver
    kills++
    await until('the server to drop its transaction', async () => (await db.query(
      "select 1 from pg_stat_activity where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()"
    )).length === 0)
    const { accounts, imports, users, devices, codes, events } = await counts()
    const expected = [accounts, accounts, accounts, 2 * accounts, accounts]
    t.same([imports, users, devices, codes, events], expected, `${accounts} after kill ${kills}`)
    t.ok(accounts >= before.accounts)
  }
  t.ok(kills > 1, `${kills} kills`)
  const last = start(['import', 'jsonl', file, '--json'], settings)
  let text = ''
  last.stdout.setEncoding('utf8').on('data', (more: string) => { text += more })
  t.same(await once(last, 'close'), [0, null])
  const { report } = JSON.parse(text)
  t.match(report.users, { found: LINES, leftOut: 0, changedThereSince: 0 })
  t.same(await counts(), { accounts: LINES, imports: LINES, users: LINES, devices: LINES, codes: 2 * LINES, events: LINES })
})
