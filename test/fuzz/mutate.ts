import type { Random } from './random.js'
import type { Input } from './target.js'

/** Longest text: that of a header, of which a body may have several. */
const LONGEST = 16_384
/** One mutation in this many repeats a part until the text is long. */
const RARELY = 40
const NUMBERS = [0, 1, -1, 2, 255, 256, 65_535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 53, 0.5, 1e308]
/** Characters that readers often treat in a special way. */
const CHARACTERS = [
  '\0', '\n', '\r', '\t', ' ', '"', '\\', '%', '.', '/', ':', ',', ';', '=', '-', '_', '+', '\u00a0', '\u00ad', '\u0130', '\u03c2',
  '\u0301',
  '\u200b', '\u2028', '\ufeff', '\ufffd', '\ud800', '\udc00', '\u{1d7ce}', '\u{10ffff}', 'ﬁ', '\ufdfa', '٣', 'ß', 'K'
]

/** Changes inputs by words of a grammar, and by parts of other inputs. */
export class Mutator {
  readonly #random: Random
  readonly #words: readonly string[]
  constructor (random: Random, words: readonly string[]) {
    this.#random = random
    this.#words = words
  }

  /**
   * Returns a changed copy.
   *
   * @param others inputs whose texts may be mixed in
   */
  mutate (input: Input, others: readonly Input[]): Input {
    let changed = input
    for (let count = 1 + this.#random.int(4); count > 0; count--) changed = this.#change(changed, others)
    return changed
  }

  #change (input: Input, others: readonly Input[]): Input {
    const random = this.#random
    if (typeof input === 'string') return this.#changeText(input, others)
    if (typeof input === 'number') return random.int(2) === 0 ? random.pick(NUMBERS) : Math.trunc(input) + random.int(21) - 10
    if (typeof input === 'boolean') return !input
    if (input === null) return random.pick<Input>([null, 0, '', false])
    if (Array.isArray(input)) return this.#changeList(input, others)
    const names = Object.keys(input)
    if (names.length === 0) return input
    const name = random.pick(names)
    if (random.int(50) > 0) return { ...input, [name]: this.#change(input[name]!, others) }
    const { [name]: _, ...rest } = input
    return rest
  }

  #changeList (input: Input[], others: readonly Input[]): Input {
    const random = this.#random
    if (input.length === 0) return input
    const at = random.int(input.length)
    switch (random.int(8)) {
      case 0: return input.toSpliced(at, 1)
      case 1: return input.toSpliced(at, 0, input[at]!)
      case 2: return input.toSpliced(at, 1).toSpliced(random.int(input.length), 0, input[at]!)
      default: return input.with(at, this.#change(input[at]!, others))
    }
  }

  #changeText (text: string, others: readonly Input[]): string {
    const random = this.#random
    const at = random.int(text.length + 1)
    const end = Math.min(text.length, at + random.int(random.int(4) === 0 ? text.length + 1 : 5))
    const put = (middle: string, to = at): string => (text.slice(0, at) + middle + text.slice(to)).slice(0, LONGEST)
    if (random.int(RARELY) === 0) {
      const part = text.slice(at, Math.max(end, at + 1)) || random.pick(CHARACTERS)
      return put(part.repeat(Math.ceil(random.int(LONGEST) / part.length)))
    }
    switch (random.int(9)) {
      case 0: return put('', end)
      case 1: return put(text.slice(at, end) + text.slice(at, end), end)
      case 2: return put(random.pick(CHARACTERS), end)
      case 3: return put(String.fromCodePoint(random.int(256)), at + 1)
      case 4: return put(String.fromCharCode(text.charCodeAt(at) ^ (1 << random.int(7))), at + 1)
      case 5: return put(partOf(textIn(random.pick(others) ?? '', random), random), end)
      case 6: return put(text.slice(at, end).toUpperCase() === text.slice(at, end)
        ? text.slice(at, end).toLowerCase()
        : text.slice(at, end).toUpperCase(), end)
      case 7: return put(random.pick(this.#words), end)
      default: return put(random.pick(this.#words))
    }
  }
}

/** Returns one of the texts in an input. */
function textIn (input: Input, random: Random): string {
  if (typeof input === 'string') return input
  if (typeof input !== 'object' || input === null) return String(input)
  const values = Object.values(input)
  return values.length === 0 ? '' : textIn(random.pick(values), random)
}

function partOf (text: string, random: Random): string {
  const from = random.int(text.length + 1)
  return text.slice(from, from + random.int(text.length - from + 1))
}

/** Returns inputs that are smaller than this one, the smallest first. */
export function * smaller (input: Input): Generator<Input> {
  if (typeof input === 'string') {
    for (let size = input.length; size > 0; size = Math.floor(size / 2)) {
      for (let at = 0; at < input.length; at += size) yield input.slice(0, at) + input.slice(at + size)
    }
  } else if (typeof input === 'number') {
    if (input !== 0) yield * [0, Math.trunc(input / 2)].filter((value) => Math.abs(value) < Math.abs(input))
  } else if (Array.isArray(input)) {
    for (let at = 0; at < input.length; at++) yield input.toSpliced(at, 1)
    for (let at = 0; at < input.length; at++) for (const item of smaller(input[at]!)) yield input.with(at, item)
  } else if (typeof input === 'object' && input !== null) {
    for (const name of Object.keys(input)) for (const item of smaller(input[name]!)) yield { ...input, [name]: item }
  }
}
