import { isSocketPath, passkeyPartyOf, type Config } from '../../config/config.js'
import { storeOf } from '../../config/store.js'
import { printable } from '../io.js'

/**
 * Returns the lines that a terminal shows when the service listens: addresses, store, parts that are off, how to stop.
 *
 * @param port port that it listens on; ignored for a Unix socket
 */
export function bannerOf (config: Config, port: number): string[] {
  const store = storeOf(config)
  // People use the name: a passkey works on localhost, and on no IP address.
  const address = isSocketPath(config.host) ? config.host : `http://localhost:${port}`
  const off = Object.entries({
    PostgreSQL: config.databaseUrl !== undefined,
    Redis: config.redisUrl !== undefined,
    passkeys: passkeyPartyOf(config) !== undefined,
    webhook: config.webhookUrl !== undefined,
    'sign-up': config.signUp === 'open'
  }).filter(([, isOn]) => !isOn).map(([name]) => name)
  return [
    'Countersign is running. Settings are in docs/settings.md.',
    `  address  ${address}`,
    `  API      ${config.docs === 'on' && !isSocketPath(config.host) ? `${address}/docs` : 'no page (DOCS=off, or a Unix socket)'}`,
    `  store    ${printable(store.name)}${store.kind === 'embedded' ? ', for trials: this process alone' : ''}`,
    `  off      ${off.join(', ') || 'nothing'}`,
    '  stop     Ctrl-C'
  ]
}
