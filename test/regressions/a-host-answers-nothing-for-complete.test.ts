import t from 'tap'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { need } from '../helpers/need.js'
import { plainHost } from '../helpers/plain-host.js'

/*
 * `complete` without a `return` was "Cannot destructure property", and an answer that is no object was sent as it was: the host's author
 * looked for the fault in our code.
 */

await need('postgres')

let answered: unknown
const { ask, lines, db } = await plainHost(t, { options: { complete: () => answered as never } })

/** [answer, name in the log] */
const wrong: ReadonlyArray<readonly [unknown, string]> = [
  [undefined, 'complete()'], [null, 'complete()'], ['a token', 'complete()'], [{}, 'sessionId'], [{ answer: {} }, 'sessionId'],
  [{ sessionId: 'new' }, 'answer'], [{ sessionId: 'new', answer: null }, 'answer'], [{ sessionId: 'new', answer: 'a token' }, 'answer'],
  [Promise.resolve(undefined), 'complete()']
]

t.test('complete that answers nothing is an error by name in the log, 500 for the client, and nothing is verified', async (t) => {
  for (const [n, [answer, name]] of wrong.entries()) {
    answered = answer
    const ada = { user: `ada ${n}`, session: 'one' }
    const { otpUrl } = (await ask(ada, 'POST', '/totp/create')).json<{ otpUrl: string }>()
    const token = totp(secretOf(otpUrl), stepAt(await db.clock.now()))
    lines.length = 0
    const login = await ask(ada, 'POST', '/totp/login', { token })
    t.match([login.statusCode, login.json()], [500, { code: 'INTERNAL_ERROR' }])
    t.ok(lines.some((line) => line.includes('countersign: complete() must answer') && line.includes(name)), lines.join(''))
    t.notMatch(login.body, /complete\(\)/)
    const verified = await db.query('select from countersign.otp_session where user_id = $1 and otp_device_id is not null and id = $2', [
      ada.user, 'new'
    ])
    t.same(verified, [])
  }
})
