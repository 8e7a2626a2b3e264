/** Where something waits: the class it belongs to, its site, and its network within the site. */
export interface Place {
  isKnown: boolean
  site: string
  network: string
}

/** So many turns in a row go to known networks while others wait. */
const KNOWN_IN_A_ROW = 3
/** The part of a full queue that known networks and the others leave to each other, as of the turns. */
const UNKNOWN_SHARE = 1 / (KNOWN_IN_A_ROW + 1)

/** Ended items of a list that are not worth a copy of it. */
const SLACK = 16

interface Way<Item> { lane: Lane<Item>, path: readonly string[] }
interface Entry<Item> extends Way<Item> { item: Item, waits: boolean }

/** A list in order, whose items may end before they come to the front: it forgets those in time. */
class Order<Item> {
  #items: Item[] = []
  #front = 0
  readonly #isLive: (item: Item) => boolean

  constructor (isLive: (item: Item) => boolean) { this.#isLive = isLive }

  add (item: Item, live: number): void {
    this.#items.push(item)
    if (this.#items.length > 2 * live + SLACK) {
      this.#items = this.#items.slice(this.#front).filter(this.#isLive)
      this.#front = 0
    }
  }

  first (): Item | undefined {
    while (this.#front < this.#items.length && !this.#isLive(this.#items[this.#front]!)) this.#front++
    return this.#items[this.#front]
  }

  shift (): Item | undefined {
    const item = this.first()
    if (item !== undefined) this.#front++
    return item
  }
}

/** A node of the tree of those who wait: a class has sites, a site has networks, a network has entries in their order. */
class Lane<Item> {
  readonly key: string
  size = 0
  readonly entries: Array<Entry<Item>> = []
  readonly lanes = new Map<string, Lane<Item>>()
  readonly #turns = new Order<Lane<Item>>(({ size }) => size > 0)
  /** The same lanes by their size, each at its `index`: to find the largest one without a search. */
  readonly #bySize: Array<Array<Lane<Item>>> = []
  #index = 0
  #most = 0

  constructor (key: string) { this.key = key }

  /** Size of the largest lane. */
  get most (): number { return this.#most }

  largest (): Lane<Item> | undefined {
    return this.#bySize[this.#most]?.at(-1)
  }

  sizeOf (key: string): number {
    return this.lanes.get(key)?.size ?? 0
  }

  add (entry: Entry<Item>, depth: number): void {
    this.size++
    const key = entry.path[depth]
    if (key === undefined) {
      this.entries.push(entry)
      return
    }
    const lane = this.lanes.get(key) ?? new Lane<Item>(key)
    this.#unlist(lane)
    lane.add(entry, depth + 1)
    this.#list(lane)
    if (this.lanes.has(key)) return
    this.lanes.set(key, lane)
    this.#turns.add(lane, this.lanes.size)
  }

  /** Takes the first entry of a path, or the last one. */
  take (path: readonly string[], depth: number, end: 'first' | 'last'): Entry<Item> {
    this.size--
    const key = path[depth]
    if (key === undefined) return (end === 'first' ? this.entries.shift() : this.entries.pop())!
    const lane = this.lanes.get(key)!
    this.#unlist(lane)
    const entry = lane.take(path, depth + 1, end)
    this.#list(lane)
    if (lane.size === 0) this.lanes.delete(key)
    return entry
  }

  /** The lane whose turn it is. It goes to the end of the order, at each level below too. */
  turn (): string[] {
    const lane = this.#turns.shift()
    if (lane === undefined) return []
    this.#turns.add(lane, this.lanes.size)
    return [lane.key, ...lane.turn()]
  }

  /** The way to the network with the most entries, in the site with the most. */
  mostPath (): string[] {
    const lane = this.largest()
    return lane === undefined ? [] : [lane.key, ...lane.mostPath()]
  }

  #list (lane: Lane<Item>): void {
    if (lane.size === 0) return
    const same = this.#bySize[lane.size] ??= []
    lane.#index = same.push(lane) - 1
    this.#most = Math.max(this.#most, lane.size)
  }

  #unlist (lane: Lane<Item>): void {
    if (lane.size === 0) return
    const same = this.#bySize[lane.size]!
    const last = same.pop()!
    if (last !== lane) {
      same[lane.#index] = last
      last.#index = lane.#index
    }
    if (same.length === 0 && lane.size === this.#most) this.#most = lane.size - 1
  }
}

/**
 * A bounded queue that is served in turn by site and, within it, by network: a network with many entries waits for the
 * turns of the others. Known networks come first, but each fourth turn is another's. When it is full, a newcomer takes
 * the place of the last entry of the network that has the most, so that one network alone may still use all of it.
 * Each operation takes constant time.
 */
export class FairQueue<Item> {
  readonly #capacity: number
  readonly #known = new Lane<Item>('known')
  readonly #unknown = new Lane<Item>('unknown')
  readonly #arrivals = new Order<Entry<Item>>(({ waits }) => waits)
  #inARow = 0

  constructor (capacity: number) { this.#capacity = capacity }

  get size (): number { return this.#known.size + this.#unknown.size }

  /** Adds an item, if there is room for it or another one has to leave for it. */
  add (item: Item, { isKnown, site, network }: Place): { added: boolean, evicted?: Item } {
    const lane = isKnown ? this.#known : this.#unknown
    const crowded = this.size < this.#capacity ? null : this.#crowded(lane, site, network)
    if (crowded === null && this.size >= this.#capacity) return { added: false }
    const evicted = crowded === null ? {} : { evicted: this.#take(crowded, 'last') }
    const entry = { item, lane, path: [site, network], waits: true }
    lane.add(entry, 0)
    this.#arrivals.add(entry, this.size)
    return { added: true, ...evicted }
  }

  /** Takes the item whose turn it is. */
  next (): Item | undefined {
    const isOthersTurn = this.#known.size === 0 || (this.#inARow >= KNOWN_IN_A_ROW && this.#unknown.size > 0)
    const lane = isOthersTurn ? this.#unknown : this.#known
    if (lane.size === 0) return undefined
    this.#inARow = isOthersTurn ? 0 : this.#inARow + 1
    return this.#take({ lane, path: lane.turn() }, 'first')
  }

  /** The item that has waited for longest. */
  oldest (): Item | undefined {
    return this.#arrivals.first()?.item
  }

  /** Takes the item that has waited for longest, out of turn: it is the first of its network. */
  takeOldest (): Item | undefined {
    const oldest = this.#arrivals.first()
    return oldest === undefined ? undefined : this.#take(oldest, 'first')
  }

  #take ({ lane, path }: Way<Item>, end: 'first' | 'last'): Item {
    const entry = lane.take(path, 0, end)
    entry.waits = false
    return entry.item
  }

  /** The way to an entry that must leave a full queue for a newcomer; null if the newcomer has its share already. */
  #crowded (own: Lane<Item>, site: string, network: string): Way<Item> | null {
    const other = own === this.#known ? this.#unknown : this.#known
    const share = own === this.#known ? 1 - UNKNOWN_SHARE : UNKNOWN_SHARE
    if (other.size > 0 && own.size < Math.floor(this.#capacity * share)) return { lane: other, path: other.mostPath() }
    if (own.most > own.sizeOf(site) + 1) return { lane: own, path: own.mostPath() }
    const home = own.lanes.get(site)
    if (home === undefined || home.most <= home.sizeOf(network) + 1) return null
    return { lane: own, path: [site, ...home.mostPath()] }
  }
}
