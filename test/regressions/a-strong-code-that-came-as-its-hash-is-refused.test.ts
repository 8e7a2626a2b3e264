import { createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { asCleaner } from '../../src/cleanup/cleanup.js'
import { createHardening } from '../../src/factors/recovery/hardening.js'
import { saltOf } from '../../src/factors/recovery/slow-digests.js'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

/*
 * Of a code that an import brings as its SHA-512, the strength is not known: it counts as weak. A typed text that is strong was compared
 * with strong codes alone, so such a code was never accepted.
 */

await need('postgres')
const { app, db } = await freshHost(t)
const strongCode = () => randomBytes(20).toString('hex')
const hashOf = (code: string) => createHash('sha512').update(code).digest('base64')

async function withHashed (name: string, codes: string[]) {
  const person = await signUp(app, name)
  expect(200, await person.login())
  const recoveryCodes = codes.map((code) => ({ digest: hashOf(code), algorithm: 'sha512' as const }))
  const record = { userId: userId(person), totp: [{ secret: randomBytes(20), lastStep: 0 }], recoveryCodes }
  t.match(await app.countersign.importFactors([record], { actorId: 'migration' }), { brought: 1, faults: [] })
  return person
}

t.test('R2 it is accepted once', async (t) => {
  const [one, other] = [strongCode(), strongCode()]
  const ada = await withHashed('ada', [one, other])
  t.equal(outcome(await ada.recover(strongCode())), '400 RECOVERY_CODE_INVALID')
  const used = await ada.recover(one)
  t.equal(outcome(used), '200')
  t.equal(used.json<{ recoveryCodesLeft: number }>().recoveryCodesLeft, 1)
  t.equal(outcome(await ada.recover(one)), '400 RECOVERY_CODE_INVALID')
})

t.test('R2 also after its digest was replaced by a slow one', async (t) => {
  const code = strongCode()
  const bob = await withHashed('bob', [code])
  const harden = createHardening(insideOf(app))
  await until('all codes to be hashed', async () => await asCleaner(insideOf(app).db, harden).catch(() => null) === false)
  const [row] = await db.query<{ digest: string }>('select digest from otp_recovery_code where user_id = $1', [userId(bob)])
  t.not(saltOf(row!.digest), null)
  t.equal(outcome(await bob.recover(code)), '200')
})

t.test('R2 and strong texts that are wrong lock nothing: they cannot be guessed', async (t) => {
  const code = strongCode()
  const eve = await withHashed('eve', [code])
  for (let i = 0; i < 7; i++) t.equal(outcome(await eve.recover(strongCode())), '400 RECOVERY_CODE_INVALID')
  t.equal(outcome(await eve.recover(code)), '200')
})
