/**
 * Part of `npm run lint`: counts the pronouns of WORDS in the comments of the code and in the documents. For readers whose first
 * language is not English, a noun is clearer. Ends with 1 if more than LIMIT of 1000 words are among them.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { parse } from '@typescript-eslint/parser'

const WORDS = /\b(who|whoever|what|whatever|somebody|nobody|anybody|those that)\b/gi
/** Of 1000 words. */
const LIMIT = 6
const WORST = 10

const tracked = execFileSync('git', ['ls-files'], { encoding: 'utf8' }).split('\n')
const sources = tracked.filter((name) => /^(src|plugins|routes|migrations|test|pages|scripts)\/.*\.(ts|js)$/.test(name))
const documents = tracked.filter((name) => name.endsWith('.md') && name !== 'CHANGELOG.md')

function commentsOf (name) {
  const { comments } = parse(readFileSync(name, 'utf8'), { comment: true, range: true, loc: true, sourceType: 'module' })
  return comments.map(({ value }) => value.replaceAll(/^\s*\*/gm, ' ')).join('\n')
}

/** Returns a document without its code. */
function proseOf (name) {
  return readFileSync(name, 'utf8').replaceAll(/^```[^]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '')
}

function count (name, text) {
  return { name, words: text.match(/[\p{L}']+/gu)?.length ?? 0, found: text.match(WORDS)?.length ?? 0 }
}

function judge (what, counts) {
  const words = counts.reduce((sum, one) => sum + one.words, 0)
  const found = counts.reduce((sum, one) => sum + one.found, 0)
  const per1000 = found / words * 1000
  console.log(`${what}: ${found} of ${words} words, ${per1000.toFixed(1)} in 1000 (at most ${LIMIT})`)
  if (per1000 <= LIMIT) return true
  for (const one of counts.toSorted((a, b) => b.found - a.found).slice(0, WORST)) console.log(`  ${one.found} of ${one.words}: ${one.name}`)
  return false
}

const comments = judge('comments', sources.map((name) => count(name, commentsOf(name))))
const docs = judge('documents', documents.map((name) => count(name, proseOf(name))))
process.exitCode = comments && docs ? 0 : 1
