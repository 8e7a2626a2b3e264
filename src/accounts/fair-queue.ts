/** Place in the queue: known or unknown network, its site, and the network within the site. */
export interface Place {
  isKnown: boolean
  site: string
  network: string
}

/** Number of consecutive turns for known networks while unknown ones wait. */
const KNOWN_IN_A_ROW = 3
/** Share of a full queue that each class leaves to the other one, in the same ratio as the turns. */
const UNKNOWN_SHARE = 1 / (KNOWN_IN_A_ROW + 1)

/** Number of ended items up to which a list is not copied. */
const SLACK = 16

interface Way<Item> { lane: Lane<Item>, path: readonly string[] }
interface Entry<Item> extends Way<Item> { item: Item, waits: boolean }

/** Ordered list whose items may end before they reach the front. It drops ended items in time. */
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

/** Node of the tree of waiting entries. A class has sites, a site has networks, a network has its entries in order. */
class Lane<Item> {
  readonly key: string
  size = 0
  readonly entries: Array<Entry<Item>> = []
  readonly lanes = new Map<string, Lane<Item>>()
  readonly #turns = new Order<Lane<Item>>(({ size }) => size > 0)
  /** Lanes by size, each at its `index`, so that the largest lane is found without a search. */
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

  /** Returns the path of the lane that has the turn, and moves it to the end of the order at each level. */
  turn (): string[] {
    const lane = this.#turns.shift()
    if (lane === undefined) return []
    this.#turns.add(lane, this.lanes.size)
    return [lane.key, ...lane.turn()]
  }

  /** Returns the path to the network with the most entries, in the site with the most. */
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
 * Bounded queue with turns by site and, within a site, by network: a network with many entries waits for the turns of the
 * others. Known networks have priority, but each fourth turn belongs to an unknown one. If the queue is full, a new entry
 * evicts the last entry of the network with the most entries, so one network alone can use the whole queue. Each operation
 * takes constant time.
 */
export class FairQueue<Item> {
  readonly #capacity: number
  readonly #known = new Lane<Item>('known')
  readonly #unknown = new Lane<Item>('unknown')
  readonly #arrivals = new Order<Entry<Item>>(({ waits }) => waits)
  #inARow = 0

  constructor (capacity: number) { this.#capacity = capacity }

  get size (): number { return this.#known.size + this.#unknown.size }

  /** Adds an item if there is room, or if another item can be evicted for it. */
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

  /** Takes the item that has the turn. */
  next (): Item | undefined {
    const isOthersTurn = this.#known.size === 0 || (this.#inARow >= KNOWN_IN_A_ROW && this.#unknown.size > 0)
    const lane = isOthersTurn ? this.#unknown : this.#known
    if (lane.size === 0) return undefined
    this.#inARow = isOthersTurn ? 0 : this.#inARow + 1
    return this.#take({ lane, path: lane.turn() }, 'first')
  }

  /** Returns the item with the longest wait. */
  oldest (): Item | undefined {
    return this.#arrivals.first()?.item
  }

  /** Takes the item with the longest wait, out of turn. It is the first of its network. */
  takeOldest (): Item | undefined {
    const oldest = this.#arrivals.first()
    return oldest === undefined ? undefined : this.#take(oldest, 'first')
  }

  #take ({ lane, path }: Way<Item>, end: 'first' | 'last'): Item {
    const entry = lane.take(path, 0, end)
    entry.waits = false
    return entry.item
  }

  /** Returns the path to the entry that a full queue evicts for a new one; null if the new entry's network has its share already. */
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
