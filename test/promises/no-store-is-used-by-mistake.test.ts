/** The database in use is reported. A misspelt or empty setting must never select the embedded one. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readConfig } from '../../src/config/config.js'
import { command } from '../helpers/command.js'
import { freshApp } from '../helpers/app.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

const ADDRESS = 'postgres://ada:hunter2@db.example/app'

/** Returns every name that is one edit away. */
function edits (word: string): string[] {
  const at = Array.from(word, (_letter, i) => i)
  return [...new Set([
    ...at.map((i) => word.slice(0, i) + word.slice(i + 1)),
    ...at.map((i) => `${word.slice(0, i)}X${word.slice(i)}`),
    ...at.map((i) => `${word.slice(0, i)}X${word.slice(i + 1)}`),
    ...at.slice(1).map((i) => word.slice(0, i - 1) + word[i]! + word[i - 1]! + word.slice(i + 1))
  ])].filter((name) => name !== word)
}

t.test('an address under a name that is one edit away never starts the embedded database', async (t) => {
  for (const word of ['DATABASE_URL', 'DATABASE_URL_FILE']) {
    for (const name of edits(word)) t.throws(() => readConfig({ [name]: ADDRESS }), { name: 'ConfigError' }, name)
  }
})

t.test('nor does an empty or missing file of the address', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'empty'), ' \n')
  for (const path of [join(folder, 'empty'), join(folder, 'none'), folder]) {
    t.throws(() => readConfig({ DATABASE_URL_FILE: path }), { name: 'ConfigError' }, path)
  }
})

t.test('a command without a database makes none', async (t) => {
  const dataDir = join(await temporaryFolder(t), 'data')
  t.match(await command(['user', 'list'], { DATA_DIR: dataDir }), { code: 1, stdout: '', stderr: /^[^\n]+\n$/ })
  t.notOk(existsSync(dataDir))
})

t.test('the database in use is reported to operators', async (t) => {
  const { app, settings } = await freshApp(t)
  const kind = settings['DATABASE_URL'] ? 'postgres' : 'embedded'
  t.match((await app.inject('/readyz')).json().store, kind === 'postgres' ? /^PostgreSQL at / : /^embedded database in /)
  t.match((await app.inject('/metrics')).body, `countersign_store_info{store="${kind}"} 1`)
  const { code, stdout } = await command(['config', 'check', '--json'], { ...settings })
  t.match({ code, ...JSON.parse(stdout) }, { code: 0, ok: true, store: kind })
})
