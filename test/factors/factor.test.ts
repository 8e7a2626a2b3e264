import { readdir } from 'node:fs/promises'
import t from 'tap'
import { amr } from '../../src/core/assurance.js'
import { factors } from '../../src/factors/factor.js'
import { statements } from '../../src/tables/statement.js'

const KINDS = Object.keys(amr).filter((kind) => kind !== 'password')

t.test('each kind of second factor has a line, a folder, and the one committing statement', async (t) => {
  t.same(Object.keys(factors).sort(), [...KINDS].sort())
  for (const [kind, factor] of Object.entries(factors)) {
    t.equal(factor.kind, kind)
    t.same(factor.amr, amr[factor.kind])
    t.ok(statements.has(`commit_${kind}`), `commit_${kind}`)
    t.equal(statements.has(`confirm_${kind}`), factor.begin !== null, 'a device is confirmed by its first proof')
  }
  t.same([...statements.keys()].filter((name) => name.startsWith('commit_')).sort(), KINDS.map((kind) => `commit_${kind}`).sort())
  const folders = (await readdir('src/factors', { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name)
  t.same(folders.sort(), ['moving', 'passkeys', 'recovery', 'totp'])
})
