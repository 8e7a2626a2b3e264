import { createHmac } from 'node:crypto'
import jsQR from 'jsqr'
import { PNG } from 'pngjs'
import t from 'tap'
import { readConfig } from '../../src/config/config.js'
import { ConfigError } from '../../src/core/config-error.js'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { secretOf } from '../helpers/authenticator.js'
import { expect, signUp, userId } from '../helpers/person.js'
import { serviceTest } from '../helpers/service-test.js'

const ISSUER = 'Ünï/Cørp & Sons? 100% 😀+#='
const { app, db, clock } = await freshApp(t, { OTP_ISSUER: ISSUER })

/** An authenticator app that uses only the parameters in the URI. */
function codeOf (otpUrl: string, unixSeconds: number): string {
  const { searchParams } = new URL(otpUrl)
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(unixSeconds / Number(searchParams.get('period')))))
  const mac = createHmac(searchParams.get('algorithm')!.toLowerCase(), secretOf(otpUrl)).update(counter).digest()
  const bits = mac.readUInt32BE(mac[mac.length - 1]! & 15) & 0x7fffffff
  const digits = Number(searchParams.get('digits'))
  return String(bits % 10 ** digits).padStart(digits, '0')
}

function readQr (dataUrl: string): string | undefined {
  const { data, width, height } = PNG.sync.read(Buffer.from(dataUrl.replace('data:image/png;base64,', ''), 'base64'))
  return (jsQR as unknown as typeof jsQR.default)(new Uint8ClampedArray(data), width, height)?.data
}

t.test('T16 verify uses the URI\'s parameters, and the QR code is the URI', async (t) => {
  for (const name of ['ada', 'Ada.Lovelace+x', 'Ünïcødé_名前-1']) {
    const person = await signUp(app, name)
    expect(200, await person.login())
    const { otpUrl, otpQr } = expect(201, await person.create()).json<{ otpUrl: string, otpQr: string }>()
    t.equal(readQr(otpQr), otpUrl)
    const [issuer, label] = new URL(otpUrl).pathname.replace(/^\/*(totp\/)?/, '').split(':').map(decodeURIComponent)
    t.same([issuer, label], [ISSUER, name])
    const parameters = Object.fromEntries(new URL(otpUrl.replaceAll('+', '%2B')).searchParams)
    t.same({ ...parameters, secret: '' }, { secret: '', issuer: ISSUER, algorithm: 'SHA1', digits: '6', period: '30' })
    t.equal(secretOf(otpUrl).length, 20)
    t.equal(outcome(await person.confirm(codeOf(otpUrl, (await clock.now()).getTime() / 1000))), '200')
  }
})

t.test('T16 a colon in the label is replaced; all other characters of an old name stay', async (t) => {
  for (const [i, username] of ['a:b:c', 'ada+x@example.org', 'a/b?c=d&e%20f', 'x y 😀', '%3A', '#&+'].entries()) {
    const person = await signUp(app, `old${i}`)
    expect(200, await person.login())
    await db.query('update account set username = $2 where id::text = $1', [userId(person), username])
    const { otpUrl, otpQr } = expect(201, await person.create()).json<{ otpUrl: string, otpQr: string }>()
    t.equal(readQr(otpQr), otpUrl)
    const labels = /^otpauth:\/\/totp\/([^?/]*)\?/.exec(otpUrl)?.[1]?.split(':').map(decodeURIComponent)
    t.same(labels, [ISSUER, username.replaceAll(':', '-')])
    t.equal(outcome(await person.confirm()), '200')
  }
})

// test/attach/options.test.ts shows the refusal of a colon in an option.
serviceTest('T16 a colon in the issuer is refused at start', async (t) => {
  for (const issuer of ['a:b', ':', 'Corp:']) {
    t.throws(() => readConfig({ OTP_ISSUER: issuer }), { variable: 'OTP_ISSUER' } as unknown as ConfigError)
  }
})
