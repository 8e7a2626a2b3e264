import t from 'tap'
import { knownOf } from './known.js'

t.test('a survivor of the mutations is known by its statement and its condition, whatever the numbers of its parameters', async (t) => {
  const known = knownOf({
    beside: [{ pattern: '^"e"\\.', reason: 'an event' }],
    within: [{ begins: '(select a(', reason: 'the answer' }],
    survivors: [{ statement: 'update "f" set', condition: '"f"."a" = $', reason: 'implied' }]
  })
  const sql = 'select (select a(b) from c where (d) and ex) from f where g and "e"."kind" = $3'
  const isBeside = (text: string) => known.isBeside(sql, { from: sql.indexOf(text), to: sql.indexOf(text) + text.length, text })
  t.same(['(d)', 'ex', 'g', '"e"."kind" = $3'].map(isBeside), [true, true, false, true])
  t.equal(known.reasonOf('update "f" set b = 1 where "f"."a" = $12', '"f"."a" = $12'), 'implied')
  t.equal(known.reasonOf('update "g" set b = 1', '"f"."a" = $12'), undefined)
  t.equal(known.reasonOf('update "f" set b = 1', '"f"."b" = $12'), undefined)
})
