/** Result of a run, from the TAP output of its processes. */
export interface Report {
  passed: number
  failed: number
  /** Test files for which tap has a result. */
  files: string[]
  /** Those of them that failed. */
  failedFiles: string[]
  skipped: Array<{ file: string, reason: string }>
}

const POINT = /^( *)(?:not )?ok \d+(?: - )?(.*)$/
const SKIP = /^(.*?) ?(?<!\\)# SKIP ?(.*)$/i
const DIAGNOSIS = /^( +)---$/
const TOTALS = /^# \{ total: \d+.*\}$/

/** @param lines complete output of each process */
export function readReport (lines: Iterable<string>): Report {
  const report: Report = { passed: 0, failed: 0, files: [], failedFiles: [], skipped: [] }
  let file = ''
  /** End of the current diagnostic block. All lines before it are text, in any format. */
  let end: string | undefined
  for (const line of lines) {
    if (end !== undefined) {
      if (line === end) end = undefined
      continue
    }
    end = DIAGNOSIS.exec(line)?.[1]?.concat('...')
    if (line.startsWith('# Subtest: ')) file = line.slice('# Subtest: '.length)
    if (TOTALS.test(line)) {
      report.passed += count(line, 'pass')
      report.failed += count(line, 'fail')
    }
    const point = POINT.exec(line)
    if (point === null) continue
    const isFile = point[1] === ''
    if (isFile) report.files.push(file)
    if (isFile && line.startsWith('not ok')) report.failedFiles.push(file)
    const skip = SKIP.exec(point[2] ?? '')
    if (skip !== null) report.skipped.push({ file, reason: isFile ? skip[2] ?? '' : `${skip[1]}: ${skip[2]}` })
  }
  return report
}

const count = (line: string, what: string): number => Number(new RegExp(`${what}: (\\d+)`).exec(line)?.[1] ?? 0)
