import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { createIo, type Io } from '../../src/commands/io.js'

const CLI = join(import.meta.dirname, '..', '..', 'src', 'bin.js')

export interface Ran { code: number | null, stdout: string, stderr: string }

/** Does not pass the variables of the test run, which would be settings of the command. */
const PLAIN = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' }

/** Starts `countersign …` as a process, with only these settings. */
export function start (args: string[], settings: Record<string, string>): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [CLI, ...args], { env: { ...PLAIN, ...settings } })
}

/** Runs the command to its end. @param input text on its standard input */
export async function command (args: string[], settings: Record<string, string>, input = ''): Promise<Ran> {
  const child = start(args, settings)
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (more: string) => { texts.stdout += more })
  child.stderr.setEncoding('utf8').on('data', (more: string) => { texts.stderr += more })
  child.stdin.on('error', () => {})   // it can end before it has read everything
  child.stdin.end(input)
  const [code] = await once(child, 'close') as [number | null]
  return { code, ...texts }
}

/**
 * Runs a command's work in this process, on streams, for tests that do not depend on arguments or exit code.
 *
 * @throws the error that the process would print in one line before it exits with 1
 */
export async function worked (work: (io: Io) => Promise<number | void> | void, input = '', json = false): Promise<Ran> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  stdin.end(input)
  const io = createIo(json, { stdin, stdout, stderr } as unknown as NodeJS.Process)
  // Read from the beginning: a long output waits for its reader.
  const texts = Promise.all([text(stdout), text(stderr)])
  try {
    const code = await work(io) ?? 0
    for (const output of [stdout, stderr]) output.end()
    const [out, error] = await texts
    return { code, stdout: out, stderr: error }
  } finally {
    io.close()
  }
}
