import { execFile } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { promisify } from 'node:util'
import t from 'tap'
import { base32, checkTotp, standardTotp, totpStep } from '../../../src/core/totp/totp.js'
import { hotp } from '../../helpers/authenticator.js'
import { need } from '../../helpers/need.js'

const oathtool = await need('oathtool')
const run = promisify(execFile)

t.test('T1 oathtool shows the code that is accepted, from the text that the QR code holds', async (t) => {
  for (let i = 0; i < 25; i++) {
    const secret = randomBytes(20)
    const seconds = randomInt(2 ** 32)
    const { stdout } = await run(oathtool, ['--totp', '--base32', `--now=@${seconds}`, base32(secret)])
    const step = totpStep(standardTotp, seconds)
    t.equal(hotp(secret, step, 6), stdout.trim())
    t.same(checkTotp(secret, stdout.trim(), seconds, { ...standardTotp, lastStep: -1, window: 0 }), { accepted: true, step })
  }
})

t.test('T1 oathtool agrees on eight digits and other periods', async (t) => {
  const secret = randomBytes(20)
  const { stdout } = await run(oathtool, [
    '--totp', '--base32', '--digits=8', '--time-step-size=60s', '--start-time=1970-01-01 00:01:40 UTC', '--now=@1800000000', base32(secret)
  ])
  const parameters = { digits: 8, periodSeconds: 60, t0Seconds: 100 }
  const step = totpStep(parameters, 1_800_000_000)
  t.same(checkTotp(secret, stdout.trim(), 1_800_000_000, { ...parameters, lastStep: -1, window: 0 }), { accepted: true, step })
})

t.test('T1 oathtool agrees on SHA-256 and SHA-512', async (t) => {
  for (const [algorithm, option] of [['SHA256', '--totp=SHA256'], ['SHA512', '--totp=SHA512']] as const) {
    const secret = randomBytes(32)
    const { stdout } = await run(oathtool, [option, '--base32', '--now=@1800000000', base32(secret)])
    const step = totpStep(standardTotp, 1_800_000_000)
    t.same(checkTotp(secret, stdout.trim(), 1_800_000_000, { ...standardTotp, algorithm, lastStep: -1, window: 0 }),
      { accepted: true, step }, algorithm)
  }
})
