import t from 'tap'
import { conditionsOf, without } from './conditions.js'

/** [statement, conditions] */
const statements: ReadonlyArray<readonly [string, string[]]> = [
  ['select 1', []],
  ['update t set a = 1 where a = $1 and b < $2', ['a = $1', 'b < $2']],
  ['update t set a = 1 where (a = $1 or b) and c returning x', ['(a = $1 or b)', 'c']],
  ['select 1 from t where a or b and c', ['a or b', 'c']],
  ['select 1 where a between 1 and 2 and b', ['a between 1 and 2', 'b']],
  ['select 1 where case when a and b then c else d end and e for no key update of u', ['case when a and b then c else d end', 'e']],
  ['with x as (select 1 from t where a and b) select 2 from x where c order by d', ['a', 'b', 'c']],
  ['select 1 where exists (select 1 from t where a = \' and \' and b) and "and" = 1',
    ['exists (select 1 from t where a = \' and \' and b)', '"and" = 1', 'a = \' and \'', 'b']],
  ['select 1 where a\n  and b\n  limit 1', ['a', 'b']],
  ['select 1 where (a = $1 and (b and c) and not exists (select 1 where d)) and e',
    ['a = $1', 'b', 'c', 'not exists (select 1 where d)', 'd', 'e']],
  ['select 1 where (a) and (b) or (c)', ['(a)', '(b) or (c)']],
  ['select 1 where (a or (b and c)) and not (d and e in (f, g)) and (h or exists (select 1 where i and j) or (k and (l and m)))',
    ['(a or (b and c))', 'b', 'c', 'not (d and e in (f, g))', 'd', 'e in (f, g)',
      '(h or exists (select 1 where i and j) or (k and (l and m)))', 'i', 'j', 'k', 'l', 'm']],
  ['select elsewhere, whereas from t', []],
  ['select 1 from t join u on u.a = t.a and u.b left join v on (v.a = t.a and v.c) inner join w on true where d',
    ['u.a = t.a', 'u.b', 'v.a = t.a', 'v.c', 'd']],
  ['select 1 from t join u on a, v where b', ['a', 'b']],
  ['insert into t select 1 where a on conflict (b) do update set c = 1 where t.d', ['a', 't.d']]
]

t.test('the conditions of a statement are those of each where', async (t) => {
  for (const [sql, expected] of statements) {
    const found = conditionsOf(sql)
    t.same(found.map(({ text }) => text).sort(), [...expected].sort(), sql)
    for (const { from, to, text } of found) t.equal(sql.slice(from, to), text)
  }
})

t.test('the conditions of a case are found where they are wanted', async (t) => {
  const sql = 'update t set a = case when b and (c or d) then case when e then 1 end else 2 end where case when f then g end'
  t.same(conditionsOf(sql).map(({ text }) => text), ['case when f then g end'])
  t.same(conditionsOf(sql, true).map(({ text }) => text), ['b', '(c or d)', 'e', 'case when f then g end', 'f'])
})

t.test('a statement without a condition keeps its parameters', async (t) => {
  const sql = 'update t set a = 1 where a = $1 and b < $2'
  t.equal(without(sql, conditionsOf(sql)[1]!), 'update t set a = 1 where a = $1 and (true or (b < $2))')
})
