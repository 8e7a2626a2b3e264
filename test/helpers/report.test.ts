import t from 'tap'
import { readReport } from './report.js'

const said = String.raw`TAP version 14
1..4
# Subtest: build/test/a.test.js
    # Subtest: x
        not ok 1 - should be equal
          ---
          diff: |
            ok 7 - not a point # SKIP in a diagnosis
          ...
        ok 2 - \# SKIP is only a name
        1..2
    not ok 1 - x # time=14.634ms
    ok 2 - y # SKIP because
    1..2
not ok 1 - build/test/a.test.js # time=26.339ms
  ---
  exitCode: 1
  ...

# Subtest: build/test/b.test.js
    1..0 # needs a thing: a big one
ok 2 - build/test/b.test.js # SKIP needs a thing: a big one

# Subtest: build/test/c.test.js
    ok 1 - fine
    1..1
ok 3 - build/test/c.test.js # time=3ms

# { total: 5, pass: 2, fail: 1, skip: 2 }
# time=9542.342ms`

t.test('what a run came to', async (t) => {
  const report = readReport(said.split('\n'))
  t.equal(report.passed, 2)
  t.equal(report.failed, 1)
  t.same(report.files, ['build/test/a.test.js', 'build/test/b.test.js', 'build/test/c.test.js'])
  t.same(report.failedFiles, ['build/test/a.test.js'])
})

t.test('what was skipped, whole files and single tests', async (t) => {
  t.same(readReport(said.split('\n')).skipped, [
    { file: 'build/test/a.test.js', reason: 'y: because' },
    { file: 'build/test/b.test.js', reason: 'needs a thing: a big one' }
  ])
})

t.test('a run that broke off has no totals', async (t) => {
  t.match(readReport(['TAP version 14', '1..2']), { passed: 0, failed: 0, files: [], failedFiles: [], skipped: [] })
})
