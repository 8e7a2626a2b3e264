import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { lstat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from '../../../src/app.js'
import { buildOps } from '../../../src/ops.js'
import { listen, type Place } from '../../../src/commands/serve/listen.js'
import { readConfig, servesOps } from '../../../src/config/config.js'
import { connectRedis } from '../../../src/redis/connect.js'
import { freshSettings } from '../../helpers/settings.js'
import { findProgram } from '../../helpers/programs.js'
import { redisLog } from '../../helpers/redis-log.js'
import type { Owner } from '../../helpers/teardown.js'
import { temporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/wait.js'

const PATHS = ['/docs', '/openapi.json', '/metrics', '/livez']
const placeOf = (host: string): Place => ({ host, port: 1, hostVariable: 'HOST', portVariable: 'PORT' })

async function statusOf (socketPath: string, path = '/'): Promise<number> {
  const [answer] = await once(request({ socketPath, path, headers: { connection: 'close' } }).end(), 'response')
  answer.resume()
  return answer.statusCode
}

function app (t: Owner): FastifyInstance {
  const made = Fastify()
  made.get('/', async () => 'x')
  t.teardown(() => made.close())
  return made
}

t.test('a Unix socket: listened on, gone at the end, refused where somebody listens, taken over from a killed process', async (t) => {
  const path = join(await temporaryFolder(t), 'é s.sock')
  const first = app(t)
  await listen(first, placeOf(path))
  t.equal(await statusOf(path), 200)
  await t.rejects(listen(app(t), placeOf(path)), { name: 'ConfigError', message: /^HOST / })
  t.equal(await statusOf(path), 200, 'the first one goes on')
  await first.close()
  t.notOk(existsSync(path))

  const script = 'require("node:net").createServer().listen(process.argv[1], () => console.log("listens"))'
  const killed = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'ignore'] })
  await once(killed.stdout, 'data')
  const exited = once(killed, 'close')
  killed.kill('SIGKILL')
  await exited
  t.ok((await lstat(path)).isSocket(), 'left behind')
  await listen(app(t), placeOf(path))
  t.equal(await statusOf(path), 200)
})

t.test('what is no place for a socket is one line that names the setting; a file there stays', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'file')
  await writeFile(file, 'kept')
  for (const path of [file, folder, join(file, 'below'), join(folder, 'none', 'x.sock')]) {
    await t.rejects(listen(app(t), placeOf(path)), { name: 'ConfigError', message: /^HOST must [^\n]*\.$/ }, path)
  }
  t.ok((await lstat(file)).isFile())
  await t.rejects(listen(app(t), { ...placeOf('203.0.113.1'), hostVariable: 'OPS_HOST' }), { name: 'ConfigError', message: /^OPS_HOST / })
})

t.test('the service and its metrics on sockets; metrics and pages can be switched off', async (t) => {
  const folder = await temporaryFolder(t)
  const [host, opsHost] = [join(folder, 'app.sock'), join(folder, 'ops.sock')]
  async function serve (more: Record<string, string>): Promise<void> {
    const config = readConfig({ ...await freshSettings(t), LOG_LEVEL: 'silent', HOST: host, OPS_HOST: opsHost, ...more })
    t.ok(servesOps(config))
    const service = await buildApp(config)
    t.teardown(() => service.close())
    const ops = await buildOps(service, config)
    await listen(service, placeOf(host))
    await listen(ops, { ...placeOf(opsHost), hostVariable: 'OPS_HOST' })
    service.leaveAtOnce()
    for (const [name, socket] of [['app', host], ['ops', opsHost]] as const) {
      seen.push(...await Promise.all(PATHS.map(async (path) => `${name} ${path} ${await statusOf(socket, path)}`)))
    }
    await service.close()
  }
  const seen: string[] = []
  await serve({})
  t.strictSame(seen.splice(0), [
    'app /docs 200', 'app /openapi.json 200', 'app /metrics 404', 'app /livez 200',
    'ops /docs 404', 'ops /openapi.json 404', 'ops /metrics 200', 'ops /livez 200'
  ])
  await serve({ METRICS: 'off', DOCS: 'off' })
  t.strictSame(seen.splice(0), [
    'app /docs 404', 'app /openapi.json 404', 'app /metrics 404', 'app /livez 200',
    'ops /docs 404', 'ops /openapi.json 404', 'ops /metrics 404', 'ops /livez 200'
  ])
})

const redisServer = findProgram('redis-server')
t.test('Redis on a Unix socket', { skip: redisServer === undefined && 'needs redis-server' }, async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'r s.sock')
  const args = ['--port', '0', '--unixsocket', path, '--save', '', '--requirepass', 'a/b#c', '--dir', folder]
  const server = spawn(redisServer!, args, { stdio: 'ignore' })
  const exited = once(server, 'close')
  t.teardown(async () => {
    server.kill('SIGKILL')
    await exited
  })
  const link = connectRedis(`unix://:a%2Fb#c@${path.replace(' ', '%20')}?db=3`.replace('#', '%23'), redisLog())
  t.teardown(() => link.close())
  await until('Redis to be up', () => link.state === 'up')
  t.equal(await link.run((client) => client.ping()), 'PONG')
})
