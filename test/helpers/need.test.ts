import { readFile } from 'node:fs/promises'
import t from 'tap'
import { needs } from './need.js'

t.test('what a test file may need, .ci/run installs: nothing is skipped there', async (t) => {
  const script = await readFile('.ci/run', 'utf8')
  const [, body = ''] = /^install_missing \(\) \{$([^]*?)^\}$/m.exec(script) ?? []
  /** Debian packages whose name is different. */
  const named: Record<string, string> = {
    postgres: 'postgresql',
    redis: 'redis-server',
    initdb: 'postgresql',
    'fido2-assert': 'fido2-tools',
    promtool: 'prometheus',
    'systemd-analyze': 'systemd',
    script: 'bsdutils'
  }
  for (const name of Object.keys(needs)) t.match(body, new RegExp(`missing\\+=\\(${named[name] ?? name}\\b`), name)
})
