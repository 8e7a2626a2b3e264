import t from 'tap'
import { insideOf } from '../../../src/attach/inside.js'
import { hardenWeakCodes } from '../../../src/factors/recovery/hardening.js'
import { freshApp } from '../../helpers/app.js'
import { bringOver, djangoDump, people } from '../../helpers/django.js'
import { need } from '../../helpers/need.js'
import { expect, Person } from '../../helpers/person.js'

await need('postgres')

t.test('imported codes that can be guessed get slow, salted digests, and open as before', async (t) => {
  const { app, db } = await freshApp(t)
  await bringOver(app, (await djangoDump(t)).url)
  const read = () => db.query<{ digest: string }>('select digest from otp_recovery_code where weak order by 1')
  const digests = async () => (await read()).map(({ digest }) => digest)
  const before = await digests()
  for (let hashed = 1; hashed > 0;) hashed = await hardenWeakCodes(app.database, insideOf(app).seal)
  const after = await digests()
  t.equal(after.length, before.length)
  for (const digest of after) t.match(digest, /^\$scrypt\$ln=14,r=8,p=1\$/)
  const users = await db.query('select distinct user_id from otp_recovery_code where weak')
  t.equal(new Set(after.map((digest) => digest.split('$')[3])).size, users.length, 'one salt for each user')

  const grace = people.find(({ username }) => username === 'user001')!
  const enter = async () => {
    const session = new Person({ app, username: grace.username, password: grace.password!, phone: { lastStep: 0 } })
    expect(200, await session.login())
    return session
  }
  t.equal((await (await enter()).recover('aaaaaaaa')).json().code, 'RECOVERY_CODE_INVALID')
  for (const [i, code] of grace.recoveryCodes.entries()) {
    t.match((await (await enter()).recover(code.toUpperCase())).json(), { recoveryCodesLeft: 4 - i })
    t.equal((await (await enter()).recover(code)).json().code, 'RECOVERY_CODE_INVALID', 'once')
  }
})
