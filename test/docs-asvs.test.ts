import { access, readFile } from 'node:fs/promises'
import t from 'tap'

/** [section of ASVS 5.0.0, number of its rows at levels 1 and 2]: they are the first ones of the section. */
const REQUIRED: ReadonlyArray<readonly [string, number]> = [
  ['6.1', 3], ['6.2', 12], ['6.3', 4], ['6.4', 4], ['6.5', 5], ['6.6', 3], ['6.8', 4],
  ['7.1', 3], ['7.2', 4], ['7.3', 2], ['7.4', 5], ['7.5', 2], ['7.6', 2],
  ['9.1', 3], ['9.2', 4]
]

type Row = [id: string, level: string, wording: string, verdict: string, evidence: string]

const text = await readFile('docs/asvs.md', 'utf8')
const rows = text.split('\n').filter((line) => /^\| [0-9]/.test(line))
  .map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()) as Row)

t.test('docs/asvs.md has each row of V6, V7 and V9 at levels 1 and 2, once', async (t) => {
  const ids = rows.map(([id]) => id)
  t.equal(new Set(ids).size, ids.length)
  const missing = REQUIRED.flatMap(([section, count]) => Array.from({ length: count }, (_, i) => `${section}.${i + 1}`))
    .filter((id) => !ids.includes(id))
  t.same(missing, [])
  for (const cells of rows) t.equal(cells.length, 5, cells[0])
})

t.test('each verdict is one of three, and a row that holds names a test, a document or a setting', async (t) => {
  for (const [id, level, , verdict, evidence] of rows) {
    t.match(level, /^[123]$/, id)
    t.ok(['holds', 'does not apply', 'deviates'].includes(verdict), id)
    if (verdict === 'holds') t.match(evidence, /\.test\.ts|\.md|passkey/, id)
    if (verdict !== 'holds') t.ok(evidence.length > 10, `${id}: the reason`)
    if (level === '3') t.not(verdict, 'does not apply', `${id}: of level 3 only those that say something`)
  }
})

t.test('each file that docs/asvs.md names is there', async (t) => {
  const paths = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1]!)
  t.ok(paths.length > 50)
  for (const path of new Set(paths)) await t.resolves(access(new URL(path, `file://${process.cwd()}/docs/`)), path)
})
