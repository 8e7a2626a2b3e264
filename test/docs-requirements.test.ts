import { readFile } from 'node:fs/promises'
import t from 'tap'
import { fillRequirements, requirementsIn, testsByRequirement } from './helpers/requirements.js'

const document = await readFile('docs/requirements.md', 'utf8')

t.test('each row names the tests that show it: else npm run docs', async (t) => {
  t.ok(requirementsIn(document).length >= 83)
  t.equal(document, await fillRequirements(document))
})

t.test('each id in the name of a test is a row', async (t) => {
  const known = new Set(requirementsIn(document))
  for (const [id, paths] of await testsByRequirement()) t.ok(known.has(id), `${id}: ${paths.join(', ')}`)
})

t.test('an id is one row', async (t) => {
  const ids = requirementsIn(document)
  t.equal(new Set(ids).size, ids.length)
})
