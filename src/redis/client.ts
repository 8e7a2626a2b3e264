import type { EventEmitter } from 'node:events'

/**
 * What we ask of ioredis, its `Redis` or its `Cluster`. By its shape: whoever attaches without Redis needs no ioredis
 * for our types, and whoever has one may have another release of it.
 */
export interface RedisClient extends EventEmitter {
  /** `ready` when it can be asked. */
  readonly status: string
  readonly isCluster: boolean
  get (key: string): Promise<string | null>
  mget (...keys: string[]): Promise<Array<string | null>>
  set (key: string, value: string, unit: 'EX', seconds: number): Promise<unknown>
  set (key: string, value: string, unit: 'PX', milliseconds: number): Promise<unknown>
  del (...keys: string[]): Promise<number>
  eval (script: string, keyCount: number, ...args: Array<string | number>): Promise<unknown>
  publish (channel: string, message: string): Promise<number>
  subscribe (...channels: string[]): Promise<unknown>
  ping (): Promise<string>
  config (command: 'GET', name: string): Promise<unknown>
  connect (): Promise<void>
  disconnect (): void
  /** Another connection to the same place; each kind of client takes options of its own. */
  duplicate (...options: never[]): unknown
}
