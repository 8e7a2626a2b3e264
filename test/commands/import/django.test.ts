import t from 'tap'
import { importDjangoCommand } from '../../../src/commands/import/django.js'
import { otpStatusCommand } from '../../../src/commands/otp.js'
import { readConfig } from '../../../src/config/config.js'
import { freshApp } from '../../helpers/app.js'
import { command, worked } from '../../helpers/command.js'
import { bringOver, djangoDump, people } from '../../helpers/django.js'
import { need } from '../../helpers/need.js'
import { expect, Person } from '../../helpers/person.js'
import { until } from '../../helpers/wait.js'

await need('postgres')

t.test('import django, as a process: the report, the exit code, no password on the command line', async (t) => {
  const { settings: fresh, db: target } = await freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
  const dump = await djangoDump(t)
  const address = new URL(dump.url)
  const importing = (...args: string[]) => command(['import', 'django', '--from', dump.url, ...args], fresh)
  address.password = 'hunter2'
  const told = await command(['import', 'django', '--from', address.toString()], fresh)
  t.match(told, { code: 2, stdout: '', stderr: /FROM_PASSWORD/ })
  t.notMatch(told.stderr, 'hunter2')
  const refused = (options: { from: string, since?: string }) =>
    worked((io) => importDjangoCommand(io, readConfig(fresh), { ...options, password: undefined }))
  await t.rejects(refused({ from: fresh['DATABASE_URL']! }), { name: 'SourceError', message: /^The source has no auth_user/ })
  await t.rejects(refused({ from: 'postgres://nobody@127.0.0.1:1/none' }), {
    name: 'SourceError', message: /^The source does not answer/
  })
  await t.rejects(refused({ from: dump.url, since: 'yesterday' }), { name: 'MisuseError', message: /--since must be a date/ })

  await dump.query("update auth_user set password = replace(password, '$260000$', '$50000000$') where username = 'user001'")
  await dump.query("update otp_totp_totpdevice set drift = 9 where user_id = (select id from auth_user where username = 'user003')")
  const rehearsed = await importing('--dry-run')
  t.match(rehearsed, { code: 3, stderr: '', stdout: /^password of user001 \(2\): the password stays behind: its hash costs more/ })
  t.match(rehearsed.stdout, /device of user003 \(4\): device 3: its drift of 9 steps/)
  t.match(rehearsed.stdout, /nobody was kept\.\n$/)
  t.equal((await target.query('select 1 from account')).length, 0)
  const done = await importing('--json')
  t.equal(done.code, 3)
  t.match(done.stdout.trim().split('\n').map((line) => JSON.parse(line)), [
    { note: { kind: 'password', externalId: '2', username: 'user001' } },
    { note: { kind: 'device', externalId: '4', username: 'user003' } },
    { report: { users: { found: 14, brought: 14 }, passwords: { brought: 12, none: 1, leftOut: 1 } }, isRehearsal: false }
  ])
  t.match(await importing(), { code: 0, stdout: /0 of 14 brought over \(0 need a set-up code\), 14 here already/ })
  for (const { recoveryCodes, devices } of people) {
    for (const secret of [...recoveryCodes, ...devices.map(({ hex }) => hex)]) t.notMatch(rehearsed.stdout + done.stdout, secret)
  }
})

t.test('R6 otp reset, for staff too: the set-up code beside the password, once', async (t) => {
  const { app: server, settings: fresh } = await freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
  await bringOver(server, (await djangoDump(t)).url)
  const grace = people.find(({ username, staff }) => staff && username === 'user001')!
  const session = new Person({ app: server, username: grace.username, password: grace.password!, phone: { lastStep: 0 } })
  expect(200, await session.login())
  const { setupCode } = JSON.parse((await command(['otp', 'reset', 'USER001', '--json'], fresh)).stdout)
  await until('the session to end', async () => (await session.request('GET', '/totp/status')).statusCode === 401)
  t.equal((await session.login()).json().code, 'SETUP_CODE_REQUIRED')
  const withCode = await session.request('POST', '/token', { username: grace.username, password: grace.password!, setupCode }, null)
  t.equal(withCode.statusCode, 200)
  t.match(await worked((io) => otpStatusCommand(io, readConfig(fresh), 'user001')), {
    code: 0, stdout: /second factor off\n[^]*reset: waits for a set-up code/
  })
  t.equal((await command(['otp', 'reset', 'nobody'], fresh)).code, 1)
})
