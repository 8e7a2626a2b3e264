import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { findProgram } from './programs.js'
import { stores } from './stores.js'

/** Debian's own Python, which alone sees Debian's packages. */
const DEBIAN_PYTHON = '/usr/bin/python3'
/** Debian's Lua library, for the Lua of its Apache. */
const LUA_SOCKET = '/usr/share/lua/5.3/socket.lua'
/** Returns Debian's Python if it has a package. */
const pythonWith = async (name: string) =>
  await promisify(execFile)(DEBIAN_PYTHON, ['-c', `import ${name}`]).then(() => DEBIAN_PYTHON, () => undefined)

/** Dependencies of test files that `npm ci` does not install: how to find them, and the message if one is missing. */
export const needs = {
  postgres: {
    find: async () => (await stores()).databaseUrl,
    missing: 'needs PostgreSQL: set DATABASE_URL, or let one answer on 127.0.0.1:5432'
  },
  redis: { find: async () => (await stores()).redisUrl, missing: 'needs Redis: set REDIS_URL, or let one answer on 127.0.0.1:6379' },
  initdb: { find: async () => findProgram('initdb'), missing: 'needs the programs of a PostgreSQL server (initdb)' },
  pgbouncer: { find: async () => findProgram('pgbouncer'), missing: 'needs pgbouncer' },
  'redis-server': { find: async () => findProgram('redis-server'), missing: 'needs redis-server' },
  nginx: { find: async () => findProgram('nginx'), missing: 'needs nginx' },
  caddy: { find: async () => findProgram('caddy'), missing: 'needs caddy' },
  haproxy: { find: async () => findProgram('haproxy'), missing: 'needs haproxy' },
  apache2: { find: async () => findProgram('apache2'), missing: 'needs apache2 of apache2-bin' },
  'lua-socket': {
    find: async () => await access(LUA_SOCKET).then(() => LUA_SOCKET, () => undefined),
    missing: 'needs lua-socket of Debian'
  },
  python3: { find: async () => findProgram('python3'), missing: 'needs python3' },
  'python3-fido2': { find: async () => await pythonWith('fido2'), missing: 'needs python3-fido2 of Debian' },
  'python3-cryptography': { find: async () => await pythonWith('cryptography'), missing: 'needs python3-cryptography of Debian' },
  openssl: { find: async () => findProgram('openssl'), missing: 'needs openssl' },
  oathtool: { find: async () => findProgram('oathtool'), missing: 'needs oathtool' },
  'fido2-assert': { find: async () => findProgram('fido2-assert'), missing: 'needs fido2-assert of fido2-tools' },
  spin: { find: async () => findProgram('spin'), missing: 'needs spin' },
  gcc: { find: async () => findProgram('gcc'), missing: 'needs gcc' },
  promtool: { find: async () => findProgram('promtool'), missing: 'needs promtool of prometheus' },
  'systemd-analyze': { find: async () => findProgram('systemd-analyze'), missing: 'needs systemd-analyze of systemd' },
  script: { find: async () => findProgram('script'), missing: 'needs script of bsdutils' },
  chromium: { find: async () => findProgram('chromium'), missing: 'needs chromium' },
  'firefox-esr': { find: async () => findProgram('firefox-esr'), missing: 'needs firefox-esr' }
} as const satisfies Record<string, { find: () => Promise<string | undefined>, missing: string }>

/** Ends a test file that is skipped. `npm test` expects it. */
export class FileSkipped extends Error {}

export type Need = keyof typeof needs

/**
 * For the top of a test file: `const pg = await need('postgres')`. If the dependency is missing, the whole file is
 * reported as skipped, with the reason, and nothing after this line runs.
 *
 * @returns the store's address, or the program's path
 */
export async function need (what: Need): Promise<string> {
  const found = await needs[what].find()
  if (found !== undefined) return found
  t.plan(0, needs[what].missing)
  // Without a parent, the process is this file's.
  if (!process.connected) process.exit(0)
  throw new FileSkipped()
}
