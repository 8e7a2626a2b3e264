import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { codeDigest, codeText, type CodeForm } from '../../src/core/recovery/recovery-codes.js'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId } from '../helpers/person.js'

/*
 * One code that an import brings in several forms has several rows. Each use consumed one of them.
 */

await need('postgres')
const { app, db } = await freshHost(t)
const CODE = 'abcd-efgh-1'
const hash = createHash('sha512').update('abcdefgh1').digest('base64')
const source = { key: randomBytes(32), userId: 'elsewhere' }
const exported = (form: CodeForm) => ({
  digest: codeDigest(source, form, codeText(form, CODE)!), form, weak: true, key: source.key.toString('base64url'), userId: source.userId
})

/** [name, records of the one code, rows that come] */
const forms = [
  ['text and sha512', [{ code: CODE }, { digest: hash, algorithm: 'sha512' as const }], 1],
  ['sha512 and text', [{ digest: hash, algorithm: 'sha512' as const }, { code: CODE }], 1],
  ['text and a digest of an export', [{ code: CODE }, exported('printed')], 2],
  ['three forms', [exported('sha512'), exported('printed'), { digest: hash, algorithm: 'sha512' as const }], 3]
] as const

for (const [i, [name, recoveryCodes, rows]] of forms.entries()) {
  t.test(`R2 ${name}: one use`, async (t) => {
    const ada = await signUp(app, `ada${i}`)
    expect(200, await ada.login())
    const record = { userId: userId(ada), totp: [{ secret: randomBytes(20), lastStep: 0 }], recoveryCodes: [...recoveryCodes] }
    t.match(await app.countersign.importFactors([record], { actorId: 'migration' }), { brought: 1, faults: [] })
    t.equal((await db.query('select from otp_recovery_code where user_id = $1', [userId(ada)])).length, rows)
    const used = await ada.recover(CODE)
    t.equal(outcome(used), '200')
    t.equal(used.json<{ recoveryCodesLeft: number }>().recoveryCodesLeft, 0)
    t.equal(outcome(await ada.recover(CODE)), '400 RECOVERY_CODE_INVALID')
  })
}
