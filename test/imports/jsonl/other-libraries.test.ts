/** Users whose secrets otplib 12 and speakeasy made, by the records of docs/moving.md. The libraries themselves show the codes. */
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { hash as bcrypt } from '@node-rs/bcrypt'
import t from 'tap'
import { fromBase32 } from '../../../src/factors/moving/secrets.js'
import { freshApp } from '../../helpers/app.js'
import { blocksAfter } from '../../helpers/doc-blocks.js'
import { importLines, mover } from '../../helpers/moving.js'
import { need } from '../../helpers/need.js'
import { expect } from '../../helpers/person.js'
import { temporaryFolder } from '../../helpers/temporary-folder.js'

await need('postgres')

interface Otplib12Options { epoch: number, algorithm?: string, digits?: number, step?: number }
interface Otplib12 {
  generate (secret: string): string
  generateSecret (bytes?: number): string
  clone (options: Otplib12Options): Otplib12
}
interface Speakeasy {
  generateSecret (options?: { length: number }): { ascii: string, base32: string }
  totp (options: { secret: string, encoding: string, time: number, algorithm?: string, digits?: number, step?: number }): string
}
const require = createRequire(import.meta.url)
// Neither has types that fit: one has those of Node 8, the other none.
const { authenticator, totp } = require('otplib-12') as { authenticator: Otplib12, totp: Otplib12 }
const speakeasy = require('speakeasy') as Speakeasy

interface User { totp: object, code: (at: Date) => string, isWeak?: boolean }

const file = join(await temporaryFolder(t), 'otplib12.mjs')
await writeFile(file, blocksAfter(await readFile('docs/moving.md', 'utf8'), 'otplib12')[0]!)
const { keyOfOtplib12 } = await import(pathToFileURL(file).href) as {
  keyOfOtplib12 (bytes: Buffer, length: number, algorithm: string): Buffer
}
const ofText = (text: string, algorithm: string) => keyOfOtplib12(Buffer.from(text, 'latin1'), text.length, algorithm).toString('hex')
const ofBase32 = (secret: string, algorithm: string) => {
  const bytes = fromBase32(secret)!
  return keyOfOtplib12(bytes, 2 * bytes.length, algorithm).toString('hex')
}

const TEXT = 'a text of a user'
const short = authenticator.generateSecret()
const easy = speakeasy.generateSecret()
const easyShort = speakeasy.generateSecret({ length: 10 })

const users: Record<string, User> = {
  'otplib12-default': {
    totp: { secret: { base32: short } }, code: (at) => authenticator.clone({ epoch: at.getTime() }).generate(short), isWeak: true
  },
  'speakeasy-ascii': {
    totp: { secret: { text: easy.ascii } },
    code: (at) => speakeasy.totp({ secret: easy.base32, encoding: 'base32', time: at.getTime() / 1000 })
  },
  'speakeasy-base32': {
    totp: { secret: { base32: easy.base32 } },
    code: (at) => speakeasy.totp({ secret: easy.ascii, encoding: 'ascii', time: at.getTime() / 1000 })
  },
  'speakeasy-short': {
    totp: { secret: { base32: easyShort.base32 } },
    code: (at) => speakeasy.totp({ secret: easyShort.ascii, encoding: 'ascii', time: at.getTime() / 1000 }),
    isWeak: true
  }
}
for (const algorithm of ['SHA1', 'SHA256', 'SHA512']) {
  const of = { algorithm, digits: 8, periodSeconds: 60 }
  const options = (at: Date) => ({ epoch: at.getTime(), algorithm: algorithm.toLowerCase(), digits: 8, step: 60 })
  for (const bytes of [10, 15, 16, 20, 31, 32]) {
    const secret = authenticator.generateSecret(bytes)
    users[`otplib12-authenticator-${algorithm}-${bytes}`] = {
      totp: { ...of, secret: algorithm === 'SHA1' ? { base32: secret } : { hex: ofBase32(secret, algorithm) } },
      code: (at) => authenticator.clone(options(at)).generate(secret),
      isWeak: algorithm === 'SHA1' && bytes < 16
    }
  }
  for (const length of [10, 19, 20, 31, 32, 63, 64]) {
    const text = TEXT.repeat(4).slice(0, length)
    users[`otplib12-totp-${algorithm}-${length}`] = {
      totp: { ...of, secret: { hex: ofText(text, algorithm) } }, code: (at) => totp.clone(options(at)).generate(text)
    }
  }
  users[`speakeasy-${algorithm}`] = {
    totp: { ...of, secret: { text: easy.ascii } },
    code: (at) => speakeasy.totp({
      secret: easy.ascii, encoding: 'ascii', time: at.getTime() / 1000, algorithm: algorithm.toLowerCase(), digits: 8, step: 60
    })
  }
}

const { app, clock } = await freshApp(t)
const PASSWORD = 'a password of the old system'
const passwordHash = await bcrypt(PASSWORD, 4)

t.test('they log in with the codes of the library that made their secret', async (t) => {
  t.equal(short.length, 16, 'ten bytes')
  const { report, notes } = await importLines(app, Object.entries(users).map(([username, { totp }]) => ({
    username, passwordHash, totp: [totp]
  })))
  t.same(notes, [])
  const weak = Object.values(users).filter(({ isWeak }) => isWeak === true).length
  const brought = Object.keys(users).length
  t.match(report, { users: { brought, owing: 0 }, devices: { brought, weak } })
  await clock.freeze()
  await clock.advance(180)
  for (const [username, { code, isWeak = false }] of Object.entries(users)) {
    const session = mover(app, username, PASSWORD)
    t.equal(expect(200, await session.login()).json().otpRequired, true)
    const now = await clock.now()
    t.equal((await session.verify(code(new Date(now.getTime() - 600_000)))).json().code, 'OTP_INVALID', `${username}: an old code`)
    t.equal((await session.verify(code(now))).statusCode, 200, username)
    t.equal((await session.verify(code(now))).statusCode, 400, `${username}: once`)
    t.match((await session.request('GET', '/totp/status')).json(), { weakDevices: isWeak ? 1 : 0 }, username)
  }
})
