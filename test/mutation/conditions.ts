/** Condition of a `where`, of a join or of a `case`, as a part of the statement's text. */
export interface Condition {
  from: number
  to: number
  text: string
}

/** Words after which a list of conditions at the same depth is over. */
const END = new RegExp('^(where|((left|right|full|inner|cross) )*join|group by|having|window|order by|limit|offset|fetch|' +
  'for (no key )?update|for (key )?share|returning|union|intersect|except|on conflict|then)\\b', 'i')
const CONFLICT = /^on conflict\b/i
const WORD = /[\w$]/

/**
 * Returns the conditions of each `where` and of each join of a statement: the parts between its `and`s, at its own depth of brackets. A
 * part with an `or` in it is one condition, and a list of `and`s in brackets is as many as it has, also within an `or` or a `not`. Those
 * of subqueries and of `with` parts are found by their own `where`.
 *
 * @param hasCases true for those of each `case` too
 */
export function conditionsOf (sql: string, hasCases = false): Condition[] {
  const found: Condition[] = []
  for (let at = 0; at < sql.length; at = next(sql, at)) {
    const word = ['where', 'on', ...(hasCases ? ['when'] : [])].find((word) => isWordAt(sql, at, word))
    if (word === undefined || CONFLICT.test(sql.slice(at))) continue
    const parts = partsFrom(sql, at + word.length).flatMap((part) => withoutBrackets(sql, part))
    found.push(...parts.flatMap((part) => [part, ...within(sql, part)]))
  }
  return found.filter(({ text, from }, at) => text !== '' && text !== 'true' && found.findIndex((one) => one.from === from) === at)
}

/**
 * Returns the statement with a condition that always holds. The condition stays in the text, so that its parameters keep their types
 * and the columns that it names must exist.
 */
export const without = (sql: string, { from, to }: Condition): string =>
  `${sql.slice(0, from)}(true or (${sql.slice(from, to)}))${sql.slice(to)}`

/** Returns the conditions of a list whose text begins here. */
function partsFrom (sql: string, begin: number): Condition[] {
  const parts: Condition[] = []
  let from = begin
  let at = begin
  let depth = 0
  let cases = 0
  let isBetween = false
  const close = (to: number): void => { parts.push(trimmed(sql, from, to)) }
  while (at < sql.length) {
    const character = sql[at]
    if (character === '(') depth++
    if (character === ')' && depth-- === 0) break
    if (depth === 0) {
      if (isWordAt(sql, at, 'case')) cases++
      if (isWordAt(sql, at, 'end')) cases--
      if (isWordAt(sql, at, 'between')) isBetween = true
      if (cases === 0 && isWordStart(sql, at) && END.test(sql.slice(at))) break
      if (character === ';' || character === ',') break
      if (cases === 0 && isWordAt(sql, at, 'and')) {
        if (isBetween) isBetween = false
        else {
          close(at)
          from = at + 'and'.length
        }
      }
    }
    at = next(sql, at)
  }
  close(at)
  return parts
}

/** Returns the parts of a condition that is a list of `and`s in brackets, as the query builder writes it; else the condition. */
function withoutBrackets (sql: string, condition: Condition): Condition[] {
  if (!condition.text.startsWith('(')) return [condition]
  const inner = partsFrom(sql, condition.from + 1)
  const isWhole = inner.at(-1)!.to === condition.to - 1 || sql.slice(inner.at(-1)!.to, condition.to).trim() === ')'
  const hasOr = inner.some(({ text }) => /\bor\b/i.test(text.replaceAll(/\([^()]*\)/g, '')))
  return isWhole && !hasOr && inner.length > 1 ? inner.flatMap((part) => withoutBrackets(sql, part)) : [condition]
}

/** Returns the parts of each list of `and`s in brackets within a condition: of the branches of an `or`, or after a `not`. */
function within (sql: string, { from, to }: Condition): Condition[] {
  const found: Condition[] = []
  for (let at = from; at < to; at = next(sql, at)) {
    if (sql[at] !== '(' || WORD.test(sql[at - 1] ?? ' ') || /^\(\s*(select|with)\b/i.test(sql.slice(at))) continue
    const parts = partsFrom(sql, at + 1)
    if (parts.length > 1) found.push(...parts.flatMap((part) => withoutBrackets(sql, part)))
  }
  return found
}

/** Returns the place after the bracket that begins here. */
export function endOfBracket (sql: string, begin: number): number {
  let depth = 0
  for (let at = begin; at < sql.length; at = next(sql, at)) {
    if (sql[at] === '(') depth++
    if (sql[at] === ')' && --depth === 0) return at + 1
  }
  return sql.length
}

function trimmed (sql: string, from: number, to: number): Condition {
  const text = sql.slice(from, to)
  const start = from + (text.length - text.trimStart().length)
  return { from: start, to: start + text.trim().length, text: text.trim() }
}

/** Returns the place after the character here, or after the quoted name or text that begins here. */
function next (sql: string, at: number): number {
  const quote = sql[at]
  if (quote !== "'" && quote !== '"') return at + 1
  const end = sql.indexOf(quote, at + 1)
  return end === -1 ? sql.length : end + 1
}

const isWordStart = (sql: string, at: number): boolean => WORD.test(sql[at] ?? '') && !WORD.test(sql[at - 1] ?? ' ')

const isWordAt = (sql: string, at: number, word: string): boolean =>
  isWordStart(sql, at) && sql.slice(at, at + word.length).toLowerCase() === word && !WORD.test(sql[at + word.length] ?? ' ')
