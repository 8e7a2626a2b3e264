/**
 * Draws a flame graph of a process from the stacks that `perf` sampled: callers below, width by share of samples. It shows each
 * JavaScript function; the top of each stack shows the kind of native code.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { escaped } from './drawing.js'

/**
 * Node options that let `perf` name the functions. Without them, V8 moves code and `perf` shows the name of the code that was
 * there before.
 */
export const NAMED_FOR_PERF = [
  '--perf-basic-prof', '--no-compact-code-space', '--no-flush-bytecode', '--no-logfile-per-isolate', '--logfile=/dev/null'
]

const SAMPLES_PER_SECOND = 997

/** Samples a process until `end` is called, then draws the graph. Needs `perf` and the permission to use it. */
export async function watch (pid: number, title: string, file: string): Promise<{ end: () => Promise<void> }> {
  const data = file.replace(/\.svg$/, '.perf.data')
  const perf = spawn('perf', ['record', '-q', '-g', '-F', String(SAMPLES_PER_SECOND), '-p', String(pid), '-o', data], { stdio: 'inherit' })
  await once(perf, 'spawn')
  const ended = once(perf, 'exit')
  return {
    async end () {
      if (!perf.kill('SIGINT')) throw new Error('perf ended by itself: may it watch processes here?')
      await ended
      const script = spawn('perf', ['script', '-i', data, '-F', 'comm,ip,sym,dso'], { stdio: ['ignore', 'pipe', 'inherit'] })
      await writeFile(file, await flameGraph(title, createInterface(script.stdout)))
      await rm(data)
      await rm(`/tmp/perf-${pid}.map`, { force: true })
    }
  }
}

type Owner = 'ours' | 'libraries' | 'generated' | 'Node' | 'V8' | 'garbage collection' | 'crypto' | 'kernel' | 'other'

interface Frame { name: string, owner: Owner }
interface Part extends Frame { samples: number, callees: Map<string, Part> }

const COLOURS: Record<Owner, string> = {
  ours: '#e4572e',
  libraries: '#f3a712',
  generated: '#ffe08a',
  Node: '#a8c686',
  V8: '#669bbc',
  'garbage collection': '#9d4edd',
  crypto: '#ef476f',
  kernel: '#adb5bd',
  other: '#dee2e6'
}
/** Share of the width. Narrower boxes are left out. */
const NARROWEST_SHARE = 0.003
const WIDTH_PX = 1200
const ROW_PX = 17
const LETTER_PX = 6.2

/** @param lines output of `perf script -F comm,ip,sym,dso`: a header, one line per function, an empty line */
async function flameGraph (title: string, lines: AsyncIterable<string>): Promise<string> {
  const all: Part = { name: 'all', owner: 'other', samples: 0, callees: new Map() }
  let stack: string[] = []
  for await (const line of lines) {
    if (line !== '') {
      stack.push(line)
      continue
    }
    add(all, framesOf(stack))
    stack = []
  }
  if (all.samples === 0) throw new Error('perf saw nothing')
  return draw(title, all)
}

function add (all: Part, frames: readonly Frame[]): void {
  if (frames.length === 0) return
  let at = all
  at.samples++
  for (const { name, owner } of frames) {
    const next = at.callees.get(name) ?? { name, owner, samples: 0, callees: new Map() }
    at.callees.set(name, next)
    at = next
    at.samples++
  }
}

const LINE = /^\s*[0-9a-f]+ (.+) \((.*?)\)$/

/** Returns the frames, callers first. */
function framesOf (lines: readonly string[]): Frame[] {
  const found = lines.map((line) => LINE.exec(line)).filter((match) => match !== null).map(
    ([, symbol = '', object = '']) => ({ symbol, object })
  )
  if (found.length === 0) return []
  const scripts = found.filter(({ symbol }) => symbol.startsWith('JS:')).map(({ symbol }) => script(symbol)).toReversed()
  const [innermost] = found
  return innermost!.symbol.startsWith('JS:') ? scripts : [...scripts, native(found)]
}

/** Parses `JS:*name file:line:column`. The mark before the name shows how far the function is compiled. Generated code has no file. */
function script (symbol: string): Frame {
  const [, called = '', file = ''] = /^JS:[~^*+]?(.*?) ?((?:file:|node:|\/)?[^ ]*):\d+(?::\d+)?$/.exec(symbol) ?? []
  const inPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)\/.*?([^/]+)$/.exec(file)
  const name = called === '' ? '(anonymous)' : called
  if (inPackage !== null) return { name: `${name} ${inPackage[1]} ${inPackage[2]}`, owner: 'libraries' }
  if (file.startsWith('node:')) return { name: `${name} ${file}`, owner: 'Node' }
  if (file === '') return { name, owner: 'generated' }
  return { name: `${name} ${file.replace(/^.*\/build\//, '')}`, owner: 'ours' }
}

/** Classifies by the innermost frames; the outer frames are only the callers. */
function native (frames: ReadonlyArray<{ symbol: string, object: string }>): Frame {
  const [{ object }] = frames as [{ symbol: string, object: string }]
  const kind = (owner: Owner): Frame => ({ name: owner, owner })
  if (object.includes('kernel')) return kind('kernel')
  const until = frames.findIndex(({ symbol }) => symbol.startsWith('JS:'))
  const names = frames.slice(0, until === -1 ? frames.length : until).map(({ symbol }) => symbol)
  const isCollecting = names.some((name) => /Scaveng|MarkCompact|Sweeper|ConcurrentMarking|Heap::Collect|GCJob/.test(name))
  if (isCollecting) return kind('garbage collection')
  if (names.some((name) => /node::crypto|EVP_|SHA\d|AES|aes|HMAC/.test(name)) || object.includes('argon2')) return kind('crypto')
  if (names.some((name) => /^Builtins_|v8::/.test(name))) return kind('V8')
  return object.endsWith('/node') || object.includes('libc') ? kind('Node') : kind('other')
}

function draw (title: string, all: Part): string {
  /** Boxes by depth. */
  const rows: string[][] = []
  const box = (part: Part, x: number, depth: number): void => {
    const width = part.samples / all.samples * WIDTH_PX
    if (width < NARROWEST_SHARE * WIDTH_PX) return
    const label = part.name.slice(0, Math.max(0, Math.floor(width / LETTER_PX) - 1))
    const words = label.length < 4 ? '' : `<text x="3" y="12">${escaped(label)}</text>`
    const tip = `<title>${escaped(part.name)}: ${(part.samples / all.samples * 100).toFixed(1)} %</title>`
    const boxes = rows[depth] ??= []
    boxes.push(
      `<g transform="translate(${x.toFixed(1)},0)">${tip}` +
      `<rect width="${width.toFixed(1)}" height="${ROW_PX - 1}" fill="${COLOURS[part.owner]}"/>${words}</g>`
    )
    let left = x
    for (const callee of [...part.callees.values()].toSorted((a, b) => a.name < b.name ? -1 : 1)) {
      box(callee, left, depth + 1)
      left += callee.samples / all.samples * WIDTH_PX
    }
  }
  box(all, 0, 0)
  const height = 2 * ROW_PX + rows.length * ROW_PX
  const placed = rows.map((boxes, depth) => `<g transform="translate(0,${height - (depth + 1) * ROW_PX})">${boxes.join('')}</g>`)
  const legend = Object.entries(COLOURS).map(
    ([owner, colour], i) => `<g transform="translate(${420 + i * 86},4)"><rect width="10" height="10" fill="${colour}"/>` +
      `<text x="13" y="10">${owner.replace('garbage collection', 'GC')}</text></g>`
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH_PX} ${height}" font-family="monospace" font-size="10">`,
    `<rect width="${WIDTH_PX}" height="${height}" fill="#fff"/>` +
      `<text x="3" y="14" font-size="13">${escaped(title)}, ${all.samples} samples</text>`,
    ...legend, ...placed, '</svg>\n'
  ].join('\n')
}
