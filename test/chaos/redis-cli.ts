import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Returns the output of `redis-cli`, without the last line end. An error of the server is a normal result. */
export async function redisCli (port: number, ...words: string[]): Promise<string> {
  return (await promisify(execFile)('redis-cli', ['-p', String(port), ...words])).stdout.trimEnd()
}
