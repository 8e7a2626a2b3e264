/**
 * Load from wrk, which saturates a bare route: written in C, it takes a fraction of the CPU of the measured process. The bench's
 * own generator takes about as much as the process, so at saturation it would measure itself.
 */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from '../helpers/temporary-folder.js'
import type { Owner } from '../helpers/teardown.js'
import type { Contestant, Process } from './contest.js'

const THREADS = 1
const CONNECTIONS = 32

export interface WrkOptions {
  /** Duration of a round. */
  seconds: number
  /** Requests that are sent in turn. */
  requests: readonly Buffer[]
}

/** Returns a contestant that answers as many requests as it can for some seconds. */
export async function saturated (owner: Owner, name: string, process: Process, { seconds, requests }: WrkOptions): Promise<Contestant> {
  const script = join(await temporaryFolder(owner), 'requests.lua')
  await writeFile(script, scriptOf(requests))
  const args = [`-t${THREADS}`, `-c${CONNECTIONS}`, `-d${seconds}s`, '-s', script, `http://127.0.0.1:${process.port}`]
  return {
    name,
    pid: process.pid,
    async run () {
      const { stdout } = await promisify(execFile)('wrk', args).catch((error: unknown) => {
        throw new Error('The bench needs wrk, a load generator that Debian has as the package wrk.', { cause: error })
      })
      const { answers, microseconds, wrong } = JSON.parse(/^\{.*\}$/m.exec(stdout)![0]) as Record<string, number>
      return { seconds: microseconds! / 1e6, wrong: wrong!, times: answers! }
    }
  }
}

/** wrk counts every status from 400 on as an error. */
function scriptOf (requests: readonly Buffer[]): string {
  return `
local requests = { ${requests.map((request) => JSON.stringify(request.toString('latin1'))).join(',\n')} }
local i = 0
function request ()
  i = i % #requests + 1
  return requests[i]
end
function done (summary)
  local errors = summary.errors
  local wrong = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\n{"answers":%d,"microseconds":%d,"wrong":%d}\\n', summary.requests, summary.duration, wrong))
end
`
}
