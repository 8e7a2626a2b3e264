import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../../src/core/config-error.js'
import { prepareDataDir } from '../../../src/postgres/embedded/data-dir.js'
import { temporaryFolder } from '../../helpers/temporary-folder.js'

const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

t.test('a new folder is its owner\'s alone, and unknown to git', async (t) => {
  const folder = join(await temporaryFolder(t), 'a', 'b')
  await prepareDataDir(folder)
  t.equal(await mode(folder), '700')
  t.equal(await readFile(join(folder, '.gitignore'), 'utf8'), '*\n')
  await prepareDataDir(folder)
  t.strictSame(await readdir(folder), ['.gitignore'])
})

t.test('an empty folder is taken over, as after a kill between the two steps', async (t) => {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  await prepareDataDir(folder)
  t.equal(await mode(folder), '700')
  t.strictSame(await readdir(folder), ['.gitignore'])
})

t.test('a folder with files in it keeps its mode and gets no .gitignore', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'home'))
  await chmod(folder, 0o755)
  await prepareDataDir(folder)
  t.equal(await mode(folder), '755')
  t.strictSame(await readdir(folder), ['home'])
})

t.test('ten starts at once agree', async (t) => {
  const folder = join(await temporaryFolder(t), 'new')
  await Promise.all(Array.from({ length: 10 }, () => prepareDataDir(folder)))
  t.equal(await readFile(join(folder, '.gitignore'), 'utf8'), '*\n')
})

t.test('O9 a file or a link to nothing in the way: one line that names the setting and not the path', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'file'), '')
  await symlink(join(folder, 'nothing'), join(folder, 'link'))
  for (const path of [join(folder, 'file'), join(folder, 'file', 'below'), join(folder, 'link', 'below')]) {
    const error: Error = await prepareDataDir(path).then(() => t.fail('taken'), (error) => error)
    t.type(error, ConfigError)
    t.match(error.message, /^DATA_DIR must [^\n]*\((EEXIST|ENOTDIR|ENOENT)\)\.$/)
    t.notMatch(error.message, folder)
  }
})
