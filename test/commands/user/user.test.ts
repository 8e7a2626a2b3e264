import { text } from 'node:stream/consumers'
import jsqr from 'jsqr'
import t from 'tap'
import { otpStatusCommand } from '../../../src/commands/otp.js'
import { createUserCommand, listUsersCommand } from '../../../src/commands/user/user.js'
import { readConfig } from '../../../src/config/config.js'
import { freshApp } from '../../helpers/app.js'
import { secretOf, stepAt, totp } from '../../helpers/authenticator.js'
import { command, start, worked } from '../../helpers/command.js'
import { need } from '../../helpers/need.js'
import { expect, Person } from '../../helpers/person.js'
import { until } from '../../helpers/wait.js'

await need('postgres')

const decode = jsqr as unknown as typeof jsqr.default
const PASSWORD = 'correct horse battery'
// Sealed with the namespace of the service, as in a process. No Redis, so that tests share nothing there.
const { app, db, clock, settings } = await freshApp(t, { REDIS_URL: '' }, { namespace: 'countersign' })
const config = readConfig(settings)

/** Kinds of a user's events: all of them, or only the command line's. */
async function kindsOf (username: string, ofCommandLine = false): Promise<string[]> {
  const rows = await db.query<{ kind: string }>(`
    select kind from otp_event e join account a on a.id::text = e.user_id
    where username = $1 and (actor_id = 'command line' or not $2::boolean) order by at, e.id`, [username, ofCommandLine])
  return rows.map(({ kind }) => kind)
}

const person = (username: string, password: string) => new Person({ app, username, password, phone: { lastStep: 0 } })

/** Pixels of a QR code from half blocks: each character has two modules, one above the other. */
function readQr (lines: string[]): string | undefined {
  const scale = 4
  const width = Math.max(...lines.map((line) => line.length)) * scale
  const pixels = new Uint8ClampedArray(width * lines.length * 2 * scale * 4).fill(255)
  lines.forEach((line, row) => Array.from(line).forEach((block, column) => {
    for (const half of [0, 1]) {
      if (block !== '█' && block !== (half === 0 ? '▀' : '▄')) continue
      for (let y = 0; y < scale; y++) {
        const at = (((row * 2 + half) * scale + y) * width + column * scale) * 4
        for (let x = 0; x < scale; x++) pixels.fill(0, at + x * 4, at + x * 4 + 3)
      }
    }
  }))
  return decode(pixels, width, lines.length * 2 * scale)?.data
}

t.test('user create: the password comes from standard input, and is held to the rules', async (t) => {
  const made = await command(['user', 'create', 'grace', '--email', 'grace@example.org'], settings, `${PASSWORD}\n`)
  t.match(made, { code: 0, stdout: /^Made user grace \([0-9a-f-]{36}\)\.\n$/, stderr: '' })
  t.equal((await person('Grace', PASSWORD).login()).statusCode, 200)
  t.same(await db.query("select is_staff, email from account where username = 'grace'"), [{ is_staff: false, email: 'grace@example.org' }])
  t.match(await command(['user', 'create', 'GRACE'], settings, `${PASSWORD}\n`), { code: 1, stderr: 'This username is taken.\n' })
  await t.rejects(worked((io) => createUserCommand(io, config, 'linus', {}), 'short\n'), { name: 'CommandError', message: /too short/ })
  await t.rejects(worked((io) => createUserCommand(io, config, 'linus', {})), { name: 'CommandError', message: /Give the password/ })
  await t.rejects(worked((io) => createUserCommand(io, config, 'linus', { phone: '1\n2' }), `${PASSWORD}\n`), {
    name: 'MisuseError', message: /^--phone must be one line/
  })
  t.equal((await db.query("select 1 from account where username_key = 'linus'")).length, 0)
})

t.test('R6 user create --staff: the password alone opens nothing, in the same moment as the account is there', async (t) => {
  const { code, stdout } = await command(['user', 'create', 'alan', '--staff'], settings, `${PASSWORD}\n`)
  t.equal(code, 0)
  t.match(stdout, /^Made staff member alan \([0-9a-f-]{36}\)\.\n/)
  const [, setupCode = ''] = /^Set-up code, shown this once, good until [0-9TZ:.-]+: (\S+)$/m.exec(stdout) ?? []
  const alan = person('alan', PASSWORD)
  t.equal((await alan.login()).json().code, 'SETUP_CODE_REQUIRED')
  const login = await app.inject({ method: 'POST', url: '/token', payload: { username: 'alan', password: PASSWORD, setupCode } })
  alan.access = expect(200, login).json().access
  t.equal((await alan.request('GET', '/admin/users')).json().code, 'OTP_SETUP_REQUIRED')
  expect(201, await alan.create())
  expect(200, await alan.confirm())
  t.equal((await alan.request('GET', '/admin/users')).statusCode, 200)
  t.same(await kindsOf('alan', true), ['promoted'])

  const made = JSON.parse((await worked((io) => createUserCommand(io, config, 'barbara', { staff: true }), `${PASSWORD}\n`, true)).stdout)
  t.match(made, { username: 'barbara', isStaff: true, setupCode: /^(\w{4}-){5}\w{4}$/, expiresAt: /Z$/ })
  const both = start(['user', 'create', 'carol', '--staff', '--otp', '--json'], settings)
  let said = ''
  both.stderr.setEncoding('utf8').on('data', (text: string) => { said += text })
  both.stdin.write(`${PASSWORD}\n`)
  const url = await until('the secret', () => /^(otpauth:\S+)\n/m.exec(said)?.[1], 60_000)
  both.stdin.end(`${totp(secretOf(url), stepAt(await clock.now()))}\n`)
  const { setupCode: none, recoveryCodes } = JSON.parse(await text(both.stdout))
  t.same([none, recoveryCodes.length], [undefined, 5])
  t.equal((await person('carol', PASSWORD).login()).statusCode, 200)
  await db.query("update account set is_staff = false where username in ('alan', 'barbara', 'carol')")
})

t.test('user create --otp: the QR code is the secret\'s, shown once, kept only once the phone has proved it', async (t) => {
  for (const isRight of [false, true]) {
    const child = start(['user', 'create', 'ada', '--otp'], settings)
    let [out, said] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text })
    const closed = new Promise<number | null>((resolve) => { child.once('close', resolve) })
    child.stdin.write(`${PASSWORD}\n`)
    const url = await until('the secret', () => /^(otpauth:\S+)\n/m.exec(out)?.[1], 60_000)
    t.equal(readQr(out.split('\n').filter((line) => /^[ ▀▄█]+$/.test(line))), url, 'T16 the QR code decodes to the URI')
    t.equal(out.split(url).length, 2, 'once')
    const code = totp(secretOf(url), stepAt(await clock.now()))
    child.stdin.end(isRight ? `${code}\n` : 'x\n000000\n \n')
    t.equal(await closed, isRight ? 0 : 1)
    t.equal(said, isRight ? '' : 'The code is wrong: nobody was made.\n')
    t.equal((await db.query("select 1 from account where username = 'ada'")).length, isRight ? 1 : 0)
    if (!isRight) continue
    const codes = out.match(/^ {2}(?:[0-9A-Z]{4}-){5}[0-9A-Z]{4}$/gm) ?? []
    t.equal(codes.length, 5)
    const ada = person('ada', PASSWORD)
    t.match((await ada.login()).json(), { otpRequired: true })
    t.equal((await ada.verify(code)).statusCode, 400, 'T2 the code that confirmed it is used up')
    t.equal((await ada.recover(codes[0]!.trim())).statusCode, 200)
  }
})

t.test('user list and otp status: without what would move the cursor', async (t) => {
  await db.query("update account set email = E'x\\u001b[2J\\u202e@y\\u009bz' where username = 'ada'")
  await db.query("update otp_device set name = E'ph\\u0007o\\nne'")
  const list = await command(['user', 'list'], settings)
  t.match(list, { code: 0, stdout: /^username +e-mail +staff +active +2FA +since\nada +x\[2J@yz +no +yes +yes +\d{4}-\d\d-\d\d\n/ })
  t.match(list.stdout, /^grace +grace@example\.org +no +yes +no/m)
  // eslint-disable-next-line no-control-regex
  t.notMatch(list.stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  const lines = (await worked((io) => listUsersCommand(io, config), '', true)).stdout
  // eslint-disable-next-line no-control-regex
  t.notMatch(lines, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  t.match(JSON.parse(lines.split('\n')[0]!), { username: 'ada', email: 'x\u001b[2J\u202e@y\u009bz', isStaff: false, isOtpEnabled: true })
  t.match(await command(['otp', 'status', 'ADA'], settings), {
    code: 0,
    stdout: new RegExp('^ada: second factor on\\ndevice +kind +created +last used\\nphone +totp( +\\d{4}-\\d\\d-\\d\\dT[\\d:]{8}Z){2}\\n' +
      'recovery codes left: 4\\n')
  })
  t.match(JSON.parse((await worked((io) => otpStatusCommand(io, config, 'ada'), '', true)).stdout), {
    isOtpEnabled: true,
    devices: [{ kind: 'totp' }],
    recoveryCodesLeft: 4,
    recoveryCodesWeak: false,
    setupRequired: false
  })
  await t.rejects(worked((io) => otpStatusCommand(io, config, 'nobody')), { name: 'CommandError', message: 'Nobody has this username.' })
})

t.test('J5 user password and deactivate end every session, on a server that runs', async (t) => {
  const grace = person('grace', PASSWORD)
  await grace.login()
  t.match(JSON.parse((await command(['user', 'password', 'grace', '--json'], settings, 'another good passphrase')).stdout), {
    endedSessions: 2
  })
  await until('the session to end', async () => (await grace.request('GET', '/totp/status')).statusCode === 401)
  t.equal((await grace.login()).statusCode, 401)
  const anew = person('grace', 'another good passphrase')
  t.equal((await anew.login()).statusCode, 200)
  t.match(await command(['user', 'deactivate', 'grace'], settings), { code: 0, stdout: /^Deactivated grace/ })
  await until('the session to end', async () => (await anew.request('GET', '/totp/status')).statusCode === 401)
  t.equal((await anew.login()).statusCode, 401)
  const events = await db.query(
    `select kind, actor_id from otp_event e join account a on a.id::text = e.user_id
    where username = 'grace' and actor_id is not null order by at`
  )
  t.match(events, [{ kind: 'password_changed', actor_id: 'command line' }, { kind: 'deactivated', actor_id: 'command line' }])
})

t.test('E3 a fault that nobody expected says where, and nothing of the row', async (t) => {
  await db.query("alter table account add constraint unexpected check (email <> 'row@example.org')")
  const { code, stdout, stderr } = await command(['user', 'create', 'linus', '--email', 'row@example.org'], settings, `${PASSWORD}\n`)
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /unexpected[^]*\n {4}at /)
  t.notMatch(stderr, /argon2|row@example|Failing row/)
  await db.query('alter table account drop constraint unexpected')
})
