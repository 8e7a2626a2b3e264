import { readdir, readFile } from 'node:fs/promises'
import { ESLint } from 'eslint'
import t from 'tap'

/** Most templates of the `sql` tag in these folders. Statements are the builder's; a new template needs a reason. */
const MOST = 70
const FOLDERS = ['src', 'plugins', 'routes', 'migrations']
const TEMPLATE = /\bsql(<[^`]*>)?`/g

t.test('statements are built by the query builder', async (t) => {
  const counts: Array<[file: string, templates: number]> = []
  for (const folder of FOLDERS) {
    for (const file of await readdir(folder, { recursive: true })) {
      if (!file.endsWith('.ts')) continue
      const templates = (await readFile(`${folder}/${file}`, 'utf8')).match(TEMPLATE)?.length ?? 0
      if (templates > 0) counts.push([`${folder}/${file}`, templates])
    }
  }
  const all = counts.reduce((sum, [, templates]) => sum + templates, 0)
  t.ok(all <= MOST, `${all} templates of at most ${MOST}: ${counts.map(([file, templates]) => `${file} ${templates}`).join(', ')}`)
})

t.test('the linter refuses the `sql` tag outside of the files that are named for it', async (t) => {
  const linter = new ESLint()
  const code = "import { sql } from 'kysely'\n\nexport const one = sql`1`\n"
  const refused = async (filePath: string) => (await linter.lintText(code, { filePath }))[0]!.messages
    .some(({ ruleId, message }) => ruleId === 'no-restricted-syntax' && message.includes('sql'))
  for (const file of ['src/staff/users.ts', 'src/cleanup/statements.ts', 'plugins/metrics.ts', 'routes/admin/users.ts']) {
    t.ok(await refused(file), file)
  }
  for (const file of ['src/sessions/revocations/revocations.sql.ts', 'src/tables/values.ts', 'migrations/2026-11-30-03-events.ts']) {
    t.notOk(await refused(file), file)
  }
})
