import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const CLI = join(import.meta.dirname, '..', '..', 'src', 'bin.js')

export interface Ran { code: number | null, stdout: string, stderr: string }

/** Variables of the test's own run would be settings of the command's. */
const PLAIN = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' }

/** Starts `countersign …` as a process, with these settings alone. */
export function start (args: string[], settings: Record<string, string>): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [CLI, ...args], { env: { ...PLAIN, ...settings } })
}

/** Runs it to its end. @param input what stands on its standard input */
export async function command (args: string[], settings: Record<string, string>, input = ''): Promise<Ran> {
  const child = start(args, settings)
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => { texts.stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { texts.stderr += text })
  child.stdin.on('error', () => {})   // it may end without reading all
  child.stdin.end(input)
  const [code] = await once(child, 'close') as [number | null]
  return { code, ...texts }
}
