/**
 * Generates a Django deployment (100 000 users by default) and imports it through the command line, in its own process.
 * Prints the duration and the peak memory of that process. Not part of `npm test`.
 *
 * `node build/test/load/django-import.js [users]`, with PostgreSQL on 127.0.0.1:5432 or in DATABASE_URL.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { generateDjango } from '../helpers/django.js'
import { stores } from '../helpers/stores.js'

const users = Number(process.argv[2] ?? 100_000)
const { databaseUrl } = await stores()
if (databaseUrl === undefined) throw new Error('needs PostgreSQL')
const admin = new pg.Client({ connectionString: databaseUrl })
await admin.connect()
const names = ['source', 'target'].map((what) => `countersign_load_${what}_${randomBytes(4).toString('hex')}`)
const [sourceUrl = '', targetUrl = ''] = names.map((name) => Object.assign(new URL(databaseUrl), { pathname: `/${name}` }).toString())

async function run (...args: string[]): Promise<void> {
  const env = {
    ...process.env,
    DATABASE_URL: targetUrl,
    JWT_KEYS: `a:${randomBytes(32).toString('base64url')}`,
    SEAL_KEYS: sealKeys
  }
  const started = performance.now()
  const child = spawn(
    process.execPath,
    [join('build', 'src', 'cli.js'), 'import', 'django', '--from', sourceUrl, ...args],
    { env, stdio: 'inherit' }
  )
  let peakKiB = 0
  const watch = setInterval(() => {
    void readFile(`/proc/${child.pid}/status`, 'utf8').then(
      (text) => { peakKiB = Number(/VmHWM:\s+(\d+)/.exec(text)?.[1] ?? peakKiB) }, () => {}
    )
  }, 200)
  const [code] = await once(child, 'exit')
  clearInterval(watch)
  console.log(
    `${args.join(' ') || 'import'}: exit ${code}, ${((performance.now() - started) / 1000).toFixed(1)} s, ` +
    `at most ${(peakKiB / 1024).toFixed(0)} MiB\n`
  )
}

const sealKeys = `b:${randomBytes(32).toString('base64url')}`
try {
  for (const name of names) await admin.query(`create database ${name}`)
  await generateDjango(sourceUrl, users)
  console.log(`${users} users in the source`)
  await run('--dry-run')
  await run()
  await run()
} finally {
  for (const name of names) await admin.query(`drop database if exists ${name} with (force)`)
  await admin.end()
}
