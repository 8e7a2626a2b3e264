import t from 'tap'
import { command } from '../../helpers/command.js'
import { appDatabase } from '../../helpers/database.js'
import { need } from '../../helpers/need.js'
import { freshKeys } from '../../helpers/settings.js'

await need('postgres')

t.test('a source without users, misspelt perhaps, is not taken back in silence', async (t) => {
  const settings = { ...freshKeys(), DATABASE_URL: (await appDatabase(t, 'service')).url }
  t.match(await command(['migrate', 'up'], settings), { code: 0 })
  t.match(await command(['import', 'undo', 'djanog'], settings), { code: 1, stdout: '', stderr: /djanog/ })
})
