import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freshDatabase } from './database.js'
import { freePort } from './redis-server.js'
import { stores } from './stores.js'
import { until } from './wait.js'

/** The service as it is run: a process of its own, listening. For what a test in the same process would distort. */
export interface ListeningService {
  url: string
  pid: number
  /** Resident memory in MiB. */
  memory (): Promise<number>
}

export async function startListening (t: Pick<Test, 'teardown'>, settings: Record<string, string> = {}): Promise<ListeningService> {
  const { databaseUrl, redisUrl } = await stores()
  const folder = await mkdtemp(join(tmpdir(), 'countersign-service-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const port = await freePort()
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../src/server.js')], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      PORT: String(port),
      LOG_LEVEL: 'silent',
      NETWORK_LIMITS: 'off',
      DATA_DIR: join(folder, 'data'),
      JWT_KEYS: `jwt:${randomBytes(32).toString('base64url')}`,
      SEAL_KEYS: `seal:${randomBytes(32).toString('base64url')}`,
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: (await freshDatabase(t)).url }),
      ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
      ...settings
    }
  })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const url = `http://127.0.0.1:${port}`
  await until('the service to be ready', async () => (await fetch(`${url}/readyz`)).ok, 20_000)
  return {
    url,
    pid: child.pid!,
    memory: async () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
  }
}
