import { sql } from 'kysely'
import { row } from '../../src/tables/db.js'
import { stepAt, totp } from '../helpers/authenticator.js'
import { around, requester, interleave, portionsFor, supply, type Contestant, type Measured, type Process } from './contest.js'
import { closedLoop, get, post } from './generator.js'
import { atLeast, atMostOf, rowOf, type Row } from './rows.js'
import type { Work } from './run.js'
import { betterAuthFleet, verifyingAt } from './peers/better-auth.js'
import type { Stores } from '../helpers/stores.js'
import type { Owner } from '../helpers/teardown.js'
import type { Stage } from './stage.js'

const AT_ONCE = 32

/** `POST /totp/login`: an accepted code, one per user; and the two ways in which the service refuses an attack. */
export const codes: Work = async (
  stage, owner, { rounds, warmUp, writingRounds, verifications: times, peerVerifications, floods }, { stores, peer }
) => {
  const ours = await stage.service()
  const accepted: Record<string, Measured> = await interleave({
    limit: await updating(stage, times, writingRounds),
    ours: await verifying(stage, 'accepted, each user once', ours, times, writingRounds),
    ...await former(stage, times, writingRounds),
    ...peer === undefined ? {} : await peerVerifying(owner, stores, peerVerifications, writingRounds)
  }, { rounds: writingRounds, times, atOnce: AT_ONCE })
  const flooded = await interleave({
    limit: requester('bare route', await stage.limit('refusing'), around([post('/totp/login', { token: '000000' })]), { status: 429 }),
    locked: await locked(stage, ours),
    repeated: await repeated(stage, ours, rounds)
  }, { rounds, times: floods, atOnce: AT_ONCE, warmUp })

  const work = '`POST /totp/login`'
  return [
    ...rowsOf(work, accepted),
    rowOf(`${work}, flood`, flooded.limit),
    rowOf(`${work}, flood`, flooded.locked, { verdicts: atLeast(flooded.limit, flooded.locked, 0.3) }),
    rowOf(`${work}, flood`, flooded.repeated, { verdicts: atLeast(flooded.limit, flooded.repeated, 0.3) })
  ] satisfies Row[]
}

/** Two conditional updates by primary key, once per user. */
async function updating (stage: Stage, times: number, rounds: number): Promise<Contestant> {
  const process = await stage.limit('two updates')
  const { guarded } = await stage.put({ guarded: times * portionsFor(rounds) })
  const { next, nextPortion } = supply(guarded.map(({ userId }) => post('/totp/login', { userId })), times)
  return requester('two conditional UPDATEs', process, next, { prepare: async () => { nextPortion() } })
}

/** The same at another revision. */
async function former ({ former: stage }: Stage, times: number, rounds: number): Promise<Record<string, Contestant>> {
  return stage === undefined ? {} : { former: await verifying(stage, stage.name, await stage.service(), times, rounds) }
}

async function peerVerifying (owner: Owner, stores: Stores, times: number, rounds: number): Promise<Record<string, Contestant>> {
  return { peer: verifyingAt(await betterAuthFleet(owner, stores, 1, times * portionsFor(rounds)), times) }
}

function rowsOf (work: string, { limit, ours, former, peer }: Record<string, Measured>): Row[] {
  const against = [
    ...former === undefined ? [] : [atMostOf(former, ours!, 0.75)], ...peer === undefined ? [] : [atMostOf(peer, ours!, 0.25)]
  ]
  return [
    rowOf(work, limit!),
    rowOf(work, ours!, { verdicts: [...atLeast(limit!, ours!, 0.4), ...against] }),
    ...[former, peer].filter((other) => other !== undefined).map((other) => rowOf(work, other))
  ]
}

type Source = Pick<Stage, 'put' | 'issue'>

/** An accepted code, each user once. */
export async function verifying (stage: Source, name: string, process: Process, times: number, rounds: number): Promise<Contestant> {
  const { next, nextPortion } = await codesFor(stage, times, portionsFor(rounds))
  return requester(name, process, () => next().login(), { prepare: () => makeKnown(process, nextPortion()) })
}

/** A client that sends a code has usually just logged in at the same replica, so the session is in that replica's local cache. */
export async function makeKnown ({ port }: Process, portion: ReadonlyArray<{ status: Buffer }>): Promise<void> {
  await closedLoop({ port, next: around(portion.map(({ status }) => status)), status: 200 }, portion.length, AT_ONCE)
}

/** Computes each code when it is sent. */
async function codesFor (stage: Source, times: number, portionCount: number) {
  const { verifications, aheadMs } = await stage.put({ verifications: times * portionCount })
  const ready = verifications.map(({ session, secret }) => {
    const { access } = stage.issue(session)
    return {
      status: get('/totp/status', access),
      login: () => post('/totp/login', { token: totp(secret, stepAt(new Date(Date.now() + aheadMs))) }, access)
    }
  })
  return supply(ready, times)
}

/** A user with locked TOTP, and a different code in each request. */
async function locked (stage: Stage, process: Process): Promise<Contestant> {
  const { verifications: [victim] } = await stage.put({ verifications: 1 })
  const { userId } = victim!.session
  await row(
    stage.db,
    sql`update ${stage.db.table.otp_user} set failures = 9, locked_until = now() + interval '1 day' where user_id = ${userId}`
  )
  const { access } = stage.issue(victim!.session)
  const guesses = Array.from({ length: 1_000 }, (_, i) => post('/totp/login', { token: String(i).padStart(6, '0') }, access))
  return requester('one user, locked', process, around(guesses), { status: 429 })
}

/** A user that sends the same wrong code again and again. Each round uses another user, before the failures lock the first one. */
async function repeated (stage: Stage, process: Process, rounds: number): Promise<Contestant> {
  const { verifications } = await stage.put({ verifications: portionsFor(rounds) })
  const { next, nextPortion } = supply(
    verifications.map(({ session }) => post('/totp/login', { token: '000000' }, stage.issue(session).access)), 1
  )
  return requester('one user, one wrong code again and again', process, next, {
    status: 400,
    async prepare () {
      nextPortion()
      await closedLoop({ port: process.port, next, status: 400 }, 1, 1)
    }
  })
}
