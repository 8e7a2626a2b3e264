import { createInterface } from 'node:readline'
import type { SingleBar } from 'cli-progress'

/** What a command cannot do, in one line for whoever typed it. Exits with 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** The arguments are not those of the command: nothing was tried. Exits with 2. */
export class MisuseError extends CommandError {}

/** A command's way to the person or the program that called it. */
export interface Io {
  /** For machines: one JSON value on each line of standard output, and nothing else there. */
  json: boolean
  /** The result: JSON, or lines for people. */
  print (value: object, lines: readonly string[]): void
  /** For people alone: on standard error where machines read the other. */
  say (line: string): void
  /** A secret from a prompt, or the next line of standard input; never from the command line. */
  askSecret (message: string): Promise<string>
  /** Whether somebody sits there who can be asked. */
  isInteractive: boolean
  /** Whether `say` goes to a terminal, which knows colours. */
  isTerminal: boolean
  /** False once the reader of standard output has left, as `head` does: a list may stop. Work goes on. */
  isRead (): boolean
  /** Drawn on a terminal only. */
  progress (label: string): Progress
  close (): void
}

export interface Progress {
  update (done: number, total: number): void
  stop (): void
}

interface Streams { stdin: NodeJS.ReadStream, stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream }

export function createIo (json: boolean, { stdin, stdout, stderr }: Streams): Io {
  let lines: AsyncIterator<string> | undefined
  let end = () => {}
  let around = (write: () => void) => { write() }
  const isInteractive = stdin.isTTY && stderr.isTTY
  let isRead = true
  stdout.once('error', () => { isRead = false })

  function write (stream: NodeJS.WriteStream, text: string): void {
    around(() => { stream.write(`${text}\n`) })
  }

  async function nextLine (): Promise<string> {
    if (lines === undefined) {
      const reader = createInterface({ input: stdin, crlfDelay: Infinity })
      lines = reader[Symbol.asyncIterator]()
      end = () => { reader.close() }
    }
    const { value, done } = await lines.next()
    return done === true ? '' : value
  }

  return {
    json,
    isInteractive,
    isRead: () => isRead,
    isTerminal: (json ? stderr : stdout).isTTY,
    print (value, text) {
      if (json) write(stdout, asciiJson(value))
      else for (const line of text) write(stdout, line)
    },
    say: (line) => { write(json ? stderr : stdout, line) },
    async askSecret (message) {
      if (!isInteractive) return await nextLine()
      const { default: password } = await import('@inquirer/password')
      return await password({ message }, { input: stdin, output: stderr })
    },
    progress (label) {
      let bar: SingleBar | undefined
      let [last, isOver] = [{ done: 0, total: 0 }, false]
      /** Of nothing yet there is nothing to draw: a bar of no length looks full. */
      const begin = () => bar!.start(Math.max(last.total, 1), last.done)
      async function open (): Promise<void> {
        const { default: { SingleBar, Presets } } = await import('cli-progress')
        if (isOver) return
        bar = new SingleBar(
          { stream: stderr, format: `${label} {bar} {percentage} % · {value} of {total}`, hideCursor: true, clearOnComplete: true },
          Presets.shades_classic
        )
        begin()
        // What is written while it stands there goes above it.
        around = (write) => {
          bar!.stop()
          write()
          begin()
        }
      }
      if (stderr.isTTY) void open()
      return {
        update (done, total) {
          last = { done, total }
          bar?.setTotal(total)
          bar?.update(done)
        },
        stop () {
          isOver = true
          bar?.stop()
          around = (write) => { write() }
        }
      }
    },
    close: () => { end() }
  }
}

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Text that somebody else chose, for a terminal: without what would move its cursor, or turn its writing round. */
export function printable (text: string): string {
  return text.replace(UNPRINTABLE, '')
}

/** JSON may be looked at in a terminal too: such characters are escaped, so that the value is the same. */
export function asciiJson (value: object): string {
  return JSON.stringify(value).replace(UNPRINTABLE, (character) =>
    Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''))
}

/** Columns under headings, as wide as their widest cell. */
export function table (headings: readonly string[], cells: ReadonlyArray<readonly string[]>): string[] {
  const rows = [headings, ...cells.map((row) => row.map(printable))]
  const widths = headings.map((_, i) => Math.max(...rows.map((row) => [...row[i] ?? ''].length)))
  return rows.map((row) => row.map((cell, i) => cell + ' '.repeat(Math.max(0, (widths[i] ?? 0) - [...cell].length))).join('  ').trimEnd())
}

/** To the second, in UTC. */
export function shownTime (at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, 'Z')
}
