/** docs/deploy.md: the files of deploy/ are valid, and name only metrics that the service has. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { freshApp } from './helpers/app.js'
import { need } from './helpers/need.js'

const run = promisify(execFile)
const promtool = await need('promtool')
const systemdAnalyze = await need('systemd-analyze')

const SOURCES = ['deploy/prometheus/alerts.yml', 'deploy/prometheus/alerts.test.yml', 'deploy/grafana/countersign.json',
  'docs/operations.md']
const METRIC = /\b(?:countersign_[a-z_]+_(?:total|seconds|info|up|open|waiting|remembered|clients|published)|process_[a-z_]+_bytes)\b/g
const metricsOf = (text: string) => new Set(text.match(METRIC))

t.test('rules, dashboard and operations.md name only metrics of /metrics', async (t) => {
  const { app } = await freshApp(t)
  const { body } = await app.inject('/metrics')
  const served = new Set([...body.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name))
  for (const path of SOURCES) {
    const named = metricsOf(await readFile(path, 'utf8'))
    t.ok(named.size > 4, path)
    t.strictSame([...named].filter((name) => !served.has(name)), [], path)
  }
})

t.test('promtool accepts the alert rules and their tests', async (t) => {
  await run(promtool, ['check', 'rules', 'deploy/prometheus/alerts.yml'])
  await run(promtool, ['test', 'rules', 'deploy/prometheus/alerts.test.yml'])
  t.pass()
})

t.test('systemd accepts the unit', async (t) => {
  const unit = await readFile('deploy/systemd/countersign.service', 'utf8')
  const file = join(t.testdir(), 'countersign.service')
  // Node is wherever the test runs, and the programs of the service are not in /opt.
  await writeFile(file, unit.replace('/usr/bin/node', process.execPath))
  const { stderr } = await run(systemdAnalyze, ['verify', '--man=no', file])
  t.equal(stderr.split('\n').filter((line) => line.includes('countersign.service')).join('\n'), '')
})
