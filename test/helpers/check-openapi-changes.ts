import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { breakingChanges, type ApiDocument } from './openapi-changes.js'

/**
 * Part of `.ci/run --all`: compares openapi.json with that of the commit before. Where the file is as committed, the commit before
 * the last change of it counts. A break that is meant stands in UPGRADING.md as `breaks: GET /path: …`, in the words of this program.
 */
const git = (...given: string[]): string => execFileSync('git', given, { encoding: 'utf8', maxBuffer: 16_000_000 })

const text = readFileSync('openapi.json', 'utf8')
const isCommitted = git('show', 'HEAD:openapi.json') === text
const before = isCommitted ? git('log', '-2', '--format=%H', '--', 'openapi.json').trim().split('\n').at(-1)! : 'HEAD'
const meant = readFileSync('UPGRADING.md', 'utf8')
const found = breakingChanges(JSON.parse(git('show', `${before}:openapi.json`)) as ApiDocument, JSON.parse(text) as ApiDocument)
  .filter((change) => !meant.includes(`breaks: ${change}`))

for (const change of found) console.error(change)
console.log(`${found.length} breaking changes of openapi.json since ${before}`)
process.exitCode = found.length === 0 ? 0 : 1
