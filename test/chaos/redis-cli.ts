import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** What `redis-cli` prints, without the end of its last line. An error of the server's is an answer like any other. */
export async function redisCli (port: number, ...words: string[]): Promise<string> {
  return (await promisify(execFile)('redis-cli', ['-p', String(port), ...words])).stdout.trimEnd()
}
