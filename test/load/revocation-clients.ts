/*
 * Cost of a long list at /revocations, for many services that begin to follow at once. Not a test:
 *
 *   node build/test/load/revocation-clients.js [CLIENTS] [ENDED]
 *
 * with DATABASE_URL (postgres://postgres@127.0.0.1:5432). The service is a process of its own, started from the build; ENDED (100 000)
 * sessions have just ended. CLIENTS (200) ask for the full list at once, then as many that do not read a byte. CPU and memory are those of
 * the service's process, from /proc.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { loadavg } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from '../helpers/free-port.js'
import { until } from '../helpers/wait.js'

const [clients = 200, ended = 100_000] = process.argv.slice(2).map(Number)
const KEY = randomBytes(32).toString('base64url')
const HEADERS = { authorization: `Bearer ${KEY}` }
const TICKS_PER_SECOND = 100
const NEWLINE = 10

const name = `revocation_clients_${process.pid}`
const server = new URL(process.env['DATABASE_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres')
const url = new URL(server)
url.pathname = `/${name}`
const port = await freePort()
const at = `http://127.0.0.1:${port}`

const admin = new pg.Client(server.href)
await admin.connect()
await admin.query(`create database ${name}`)
const secret = () => `k:${randomBytes(32).toString('base64url')}`
const service = spawn(process.execPath, ['build/src/server.js'], {
  stdio: ['ignore', 'ignore', 'inherit'],
  env: {
    PATH: process.env['PATH'],
    PORT: String(port),
    DATABASE_URL: url.href,
    LOG_LEVEL: 'warn',
    NETWORK_LIMITS: 'off',
    JWT_KEYS: secret(),
    SEAL_KEYS: secret(),
    CLIENT_KEYS: `test:${KEY}`
  }
})
try {
  await measure()
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  service.kill('SIGKILL')
  await admin.query(`drop database ${name} with (force)`)
  await admin.end()
}

/** CPU of all threads in milliseconds, and resident memory in MB, now and at most since the last `clear`. */
function usage () {
  const fields = readFileSync(`/proc/${service.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
  const status = readFileSync(`/proc/${service.pid}/status`, 'utf8')
  const memory = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND, mb: memory('VmRSS'), mostMb: memory('VmHWM') }
}

/** Reads until the list is complete. @returns bytes */
async function readList (): Promise<number> {
  return await new Promise((resolve, reject) => {
    let bytes = 0
    let isLast = false
    const sent = request(`${at}/revocations`, { headers: HEADERS, agent: false }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`Answered ${answer.statusCode}`))
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        isLast ||= chunk.includes('"more":false')
        if (!isLast || chunk.at(-1) !== NEWLINE) return
        resolve(bytes)
        sent.destroy()
      })
    })
    sent.on('error', reject).end()
  })
}

/** Longest answer of another request while something runs, as this busy process sees it. */
async function longestWhile<Result> (run: Promise<Result>): Promise<[Result, number]> {
  const state = { isOver: false }
  void run.catch(() => {}).finally(() => { state.isOver = true })
  let longestMs = 0
  while (!state.isOver) {
    const beganAtMs = performance.now()
    await fetch(`${at}/livez`)
    longestMs = Math.max(longestMs, performance.now() - beganAtMs)
    await delay(5)
  }
  return [await run, longestMs]
}

async function measure (): Promise<void> {
  const isReady = async (path: string, headers = {}) => (await fetch(`${at}${path}`, { headers }).catch(() => null))?.status === 200
  await until('the service', () => isReady('/readyz'), 60_000)
  const client = new pg.Client(url.href)
  await client.connect()
  await client.query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent,
    ended_at, ended_xid, end_reason) select 'user ' || i, gen_random_uuid(), now(), now() + '1 day', now(), '{pwd}', false, now(), '', '',
    clock_timestamp(), pg_current_xact_id(), 'revoked' from generate_series(1, $1) i`, [ended])
  await client.end()
  await delay(2_000)
  await until('the list', async () => await readList().catch(() => 0) > ended * 20, 60_000)

  const before = usage()
  const beganAtMs = performance.now()
  const [bytes, longestMs] = await longestWhile(Promise.all(Array.from({ length: clients }, readList)))
  const tookMs = performance.now() - beganAtMs
  const after = usage()
  const sum = bytes.reduce((all, one) => all + one, 0)
  console.log(`load average ${loadavg()[0]!.toFixed(1)}; ${ended} ended sessions`)
  console.log(`${clients} full lists, ${(sum / 2 ** 20).toFixed(0)} MB: ${tookMs.toFixed(0)} ms, CPU ${after.cpuMs - before.cpuMs} ms, ` +
    `another request ${longestMs.toFixed(0)} ms at most, memory ${before.mb.toFixed(0)} MB, at most ${after.mostMb.toFixed(0)} MB`)

  const sockets = Array.from({ length: clients }, () => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    socket.pause()
    socket.write(`GET /revocations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\n\r\n`)
    return socket
  })
  await delay(6_000)
  const held = usage()
  console.log(`${clients} that do not read: memory ${held.mb.toFixed(0)} MB, at most ${held.mostMb.toFixed(0)} MB; ` +
    `CPU ${held.cpuMs - after.cpuMs} ms in 6 s`)
  for (const socket of sockets) socket.destroy()
}
