import type { AddressInfo } from 'node:net'
import t from 'tap'
import { buildApp } from '../../src/app.js'
import { buildOps } from '../../src/ops.js'
import { readConfig } from '../../src/config/config.js'
import { freshApp } from '../helpers/app.js'
import { faultsOfRefusal } from '../helpers/error-shape.js'
import { call } from '../helpers/http-client.js'
import { freshSettings } from '../helpers/settings.js'

const perMinute = { LIMIT_TOKEN_PER_MINUTE: '2', LIMIT_CODES_PER_MINUTE: '3', LIMIT_OTHER_PER_MINUTE: '5' }
const { app } = await freshApp(t, { NETWORK_LIMITS: 'on', KEEP_ALIVE_SECONDS: '7', LIMIT_USERS_PER_HOUR: '1', ...perMinute })

/** Returns how many of that many concurrent requests pass the limit. */
async function many (count: number, on: typeof app, method: 'GET' | 'POST', url: string, remoteAddress: string): Promise<number> {
  const body = method === 'POST' ? { payload: {} } : {}
  const answers = await Promise.all(Array.from({ length: count }, () => on.inject({ method, url, remoteAddress, ...body })))
  return answers.filter(({ statusCode }) => statusCode !== 429).length
}

t.test('metrics name no release, and are limited by network, on a port of their own too', async (t) => {
  const { body } = await app.inject('/metrics')
  t.notMatch(body, /version|v\d+\.\d+\.\d+/)
  t.match(body, /^countersign_store_info\{store="(postgres|embedded)"\} 1$/m)
  const config = readConfig({ ...await freshSettings(t), NETWORK_LIMITS: 'on', LOG_LEVEL: 'silent', OPS_PORT: '1' })
  const other = await buildApp(config)
  const ops = await buildOps(other, config)
  t.teardown(() => other.close())
  for (const on of [app, ops]) {
    t.equal(await many(70, on, 'GET', '/metrics', '198.51.100.7'), 60)
    t.equal(await many(3, on, 'GET', '/metrics', '198.51.100.8'), 3, 'another network')
    t.equal(await many(70, on, 'GET', '/livez', '198.51.100.7'), 70, 'probes are not')
    const limited = await on.inject({ url: '/metrics', remoteAddress: '198.51.100.7' })
    t.equal(limited.statusCode, 429)
    for (const refused of [limited, await on.inject('/nothing'), await on.inject({ method: 'POST', url: '/livez', payload: '{' })]) {
      t.same(faultsOfRefusal(refused), [], refused.body)
    }
  }
})

t.test('limits are settings', async (t) => {
  t.equal(await many(9, app, 'POST', '/token', '198.51.100.1'), 2)
  t.equal(await many(9, app, 'POST', '/users', '198.51.100.1'), 1)
  t.equal(await many(9, app, 'GET', '/account', '198.51.100.1'), 5)
  t.equal(await many(9, app, 'GET', '/session', '198.51.100.1'), 5)
  t.equal(await many(9, app, 'POST', '/totp/login', '198.51.100.1'), 3)
})

t.test('/readyz names the store to this machine alone', async (t) => {
  const ask = async (remoteAddress: string, headers: Record<string, string> = {}) =>
    (await app.inject({ url: '/readyz', remoteAddress, headers })).json().store
  for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1']) t.type(await ask(address), 'string', address)
  for (const address of ['192.0.2.1', '10.0.0.1', '::2', '::ffff:10.0.0.1', 'fe80::1']) t.equal(await ask(address), undefined, address)
  for (const name of [
    'X-Forwarded-For', 'x-forwarded', 'x-forwarded-proto', 'Forwarded', 'Via', 'X-Real-IP'
  ]) {
    t.equal(await ask('127.0.0.1', { [name]: '' }), undefined, name)
  }
})

t.test('an idle connection is kept as long as the setting says', async (t) => {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { headers } = await call(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`, 'GET', '/livez')
  t.equal(headers.get('keep-alive'), 'timeout=7')
  t.equal(app.server.keepAliveTimeout, 7_000)
})
