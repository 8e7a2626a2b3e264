import type { EventEmitter } from 'node:events'

/**
 * Part of ioredis that is used, of its `Redis` or `Cluster`. A structural type: an attached host without Redis needs no ioredis
 * for our types, and a host with Redis may have another release of it.
 */
export interface RedisClient extends EventEmitter {
  /** `ready` if the client can run commands. */
  readonly status: string
  readonly isCluster: boolean
  get (key: string): Promise<string | null>
  mget (...keys: string[]): Promise<Array<string | null>>
  set (key: string, value: string, unit: 'EX', seconds: number): Promise<unknown>
  set (key: string, value: string, unit: 'PX', milliseconds: number): Promise<unknown>
  set (key: string, value: string, unit: 'PX', milliseconds: number, condition: 'NX'): Promise<'OK' | null>
  del (...keys: string[]): Promise<number>
  rpush (key: string, ...values: string[]): Promise<number>
  lpop (key: string, count: number): Promise<string[] | null>
  pexpire (key: string, milliseconds: number): Promise<number>
  eval (script: string, keyCount: number, ...args: Array<string | number>): Promise<unknown>
  publish (channel: string, message: string): Promise<number>
  subscribe (...channels: string[]): Promise<unknown>
  unsubscribe (...channels: string[]): Promise<unknown>
  ping (): Promise<string>
  config (command: 'GET', name: string): Promise<unknown>
  connect (): Promise<void>
  disconnect (): void
  /** Opens another connection to the same address; each kind of client has options of its own. */
  duplicate (...options: never[]): unknown
}
