import { call } from '../../helpers/http-client.js'
import { wrongCode } from '../../soak/people.js'
import { quantile } from '../load.js'
import { logIn, type Person } from '../people.js'
import { pass, underLoad, unlike, type Scenario, type Seen } from '../scenario.js'
import type { Stage } from '../stage.js'
import { codeOf, spell } from '../witnesses.js'

/** Each attacker sends the next code after the previous answer. */
const THIEVES = 8
const OWNER_PAUSE_MS = 20
const ATTACK_MS = 8_000
/** Wrong codes in a row until the lock: at the start, and again after a recovery code has lifted the lock. */
const FREE_FAILURES = 5

/** Attackers that have the password send wrong codes, in their own sessions, to both replicas. */
function attack (bases: string[], owner: Person) {
  const stopping = new AbortController()
  let seed = 0
  let asked = 0
  let judged = 0
  const wrong: string[] = []
  const thieves = Array.from({ length: THIEVES }, async (_, i) => {
    const base = bases[i % bases.length]!
    let { access } = await logIn(base, owner.username, owner.password)
    while (!stopping.signal.aborted) {
      const answer = await call(base, 'POST', '/totp/login', { access, body: { token: wrongCode(owner, seed++ * 7) } })
      asked++
      const code = codeOf(answer)
      if (code === 'OTP_INVALID') judged++
      else if (code === 'SESSION_ENDED') access = (await logIn(base, owner.username, owner.password)).access
      else if (code !== 'OTP_LOCKED') wrong.push(`who guesses: ${spell(answer)}`)
    }
  })
  return {
    async stop () {
      stopping.abort()
      await Promise.all(thieves)
      return { asked, judged, wrong }
    }
  }
}

/** Continues the owner's open session in the meantime: guarded requests and refreshes. */
function goOn (bases: string[], owner: Person) {
  const stopping = new AbortController()
  const times: number[] = []
  const wrong: string[] = []
  const going = (async () => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      const base = bases[n % bases.length]!
      const beganAtMs = performance.now()
      const answer = n % 20 === 19
        ? await call(base, 'POST', '/token/refresh', { body: { refresh: owner.refresh } })
        : await call(base, 'GET', '/session', { access: owner.access })
      times.push(performance.now() - beganAtMs)
      if (answer.status !== 200) wrong.push(`the owner: ${spell(answer)}`)
      else if (n % 20 === 19) Object.assign(owner, answer.json())
      await pass(OWNER_PAUSE_MS)
    }
  })()
  return {
    async stop () {
      stopping.abort()
      await going
      return { times, wrong }
    }
  }
}

/** Uses a recovery code in a new session, while the account is locked and under attack. */
async function recover (base: string, { username, password, recoveryCodes }: Person): Promise<string[]> {
  const { access } = await logIn(base, username, password)
  const answer = await call(base, 'POST', '/totp/recovery_code/login', { access, body: { token: recoveryCodes[0] } })
  if (answer.status !== 200) return [`the owner's recovery code: ${spell(answer)}`]
  const passed = await call(base, 'GET', '/session?required', { access: (answer.json() as { access: string }).access })
  return passed.status === 200 ? [] : [`the session that it gave: ${spell(passed)}`]
}

async function guessing (stage: Stage): Promise<Seen> {
  const bases = stage.replicas.map(({ base }) => base)
  const [owner, ...others] = stage.people as [Person, ...Person[]]
  const wrong: string[] = []
  let note = ''
  let thieves: ReturnType<typeof attack>
  let going: ReturnType<typeof goOn>
  const seen = await underLoad({ ...stage, people: others }, {
    perSecond: 100,
    faultMs: ATTACK_MS / 2,
    judge: unlike,
    p99Ms: 500,
    begin: async () => {
      thieves = attack(bases, owner)
      going = goOn(bases, owner)
      await pass(ATTACK_MS / 2)
      wrong.push(...await recover(bases[1]!, owner))
    },
    end: async () => {
      const guessed = await thieves.stop()
      const went = await going.stop()
      wrong.push(...guessed.wrong, ...went.wrong)
      if (guessed.judged > 2 * FREE_FAILURES) wrong.push(`${guessed.judged} codes were judged`)
      note = `${guessed.asked} codes given, ${guessed.judged} of them judged; ` +
        `the owner's open session: ${went.times.length} requests, p99 ${Math.round(quantile(went.times, 0.99))} ms; ` +
        'the recovery code worked'
    }
  })
  return { ...seen, wrong: [...seen.wrong, ...wrong], note }
}

export const guessingScenarios: Scenario[] = [
  { name: 'T10 Somebody who has only the password guesses codes at full speed', run: guessing }
]
