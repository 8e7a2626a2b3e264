import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { SingleBar } from 'cli-progress'

/** Failure of a command, with a message of one line for the operator. Exits with 1. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError'
}

/** Wrong arguments; the command did nothing. Exits with 2. */
export class MisuseError extends CommandError {
  override readonly name: string = 'MisuseError'
}

/** Input and output of a command. */
export interface Io {
  /** True for machines: standard output has one JSON value on each line, and no other text. */
  json: boolean
  /** Prints the result as JSON, or as lines of text. */
  print (value: object, lines: readonly string[]): void
  /** Prints a line for people: on standard error if standard output is for machines. */
  say (line: string): void
  /** Writes text to standard output as it is, and waits where its reader is slow. Nothing happens once the reader has closed it. */
  write (text: string): Promise<void>
  /** Writes a line to standard error. */
  warn (line: string): void
  /** Reads a secret from a prompt, or from the next line of standard input; never from the arguments. */
  askSecret (message: string): Promise<string>
  /** Standard input as bytes, for a command that reads a file from it. */
  input (): AsyncIterable<Buffer>
  /** True if a person at a terminal can be asked. */
  isInteractive: boolean
  /** True if `say` writes to a terminal, which supports colours. */
  isTerminal: boolean
  /** Returns false after the reader of standard output has closed it, as `head` does. A list may then stop; other work continues. */
  isRead (): boolean
  /** Shows progress, on a terminal only. */
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
    input: () => stdin,
    isInteractive,
    isRead: () => isRead,
    isTerminal: (json ? stderr : stdout).isTTY,
    print (value, text) {
      if (json) write(stdout, asciiJson(value))
      else for (const line of text) write(stdout, line)
    },
    async write (text) {
      if (stdout.write(text) || !isRead) return
      const waiting = new AbortController()
      const heard = (event: string) => once(stdout, event, { signal: waiting.signal })
      // A fault ends the wait: `isRead` tells of it.
      await Promise.race([heard('drain'), heard('close')]).catch(() => {})
      // Removes the listeners: Node warns at eleven.
      waiting.abort()
    },
    warn: (line) => { write(stderr, line) },
    say: (line) => { write(json ? stderr : stdout, line) },
    async askSecret (message) {
      if (!isInteractive) return await nextLine()
      const { default: password } = await import('@inquirer/password')
      return await password({ message }, { input: stdin, output: stderr })
    },
    progress (label) {
      let bar: SingleBar | undefined
      let [last, isOver] = [{ done: 0, total: 0 }, false]
      /** A total of zero would show a full bar. */
      const begin = () => bar!.start(Math.max(last.total, 1), last.done)
      async function open (): Promise<void> {
        const { default: { SingleBar, Presets } } = await import('cli-progress')
        if (isOver) return
        bar = new SingleBar(
          { stream: stderr, format: `${label} {bar} {percentage} % · {value} of {total}`, hideCursor: true, clearOnComplete: true },
          Presets.shades_classic
        )
        begin()
        // Text that is written meanwhile appears above the bar.
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

/** Returns text from another person for a terminal, without characters that move the cursor or change the writing direction. */
export function printable (text: string): string {
  return text.replace(UNPRINTABLE, '')
}

/** Returns JSON with such characters escaped, because a terminal may show it too. The value is the same. */
export function asciiJson (value: object): string {
  return JSON.stringify(value).replace(UNPRINTABLE, (character) =>
    Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''))
}

/** Returns columns under headings, each as wide as its widest cell. */
export function table (headings: readonly string[], cells: ReadonlyArray<readonly string[]>): string[] {
  const rows = [headings, ...cells.map((row) => row.map(printable))]
  const widths = headings.map((_, i) => Math.max(...rows.map((row) => [...row[i] ?? ''].length)))
  return rows.map((row) => row.map((cell, i) => cell + ' '.repeat(Math.max(0, (widths[i] ?? 0) - [...cell].length))).join('  ').trimEnd())
}

/** Returns a time in UTC, to the second. */
export function shownTime (at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, 'Z')
}
