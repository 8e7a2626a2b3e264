import t from 'tap'
import { parseRedisAddress } from '../../src/redis/address.js'

const servers = [
  ['redis://localhost', { host: 'localhost', port: 6379, db: 0 }],
  ['redis://localhost/', { host: 'localhost', port: 6379, db: 0 }],
  ['redis://10.0.0.1:6380/2', { host: '10.0.0.1', port: 6380, db: 2 }],
  ['redis://[::1]:6380/2', { host: '::1', port: 6380, db: 2 }],
  ['redis://ada:p%40ss%2Fword@cache:6379/0', { host: 'cache', port: 6379, db: 0, username: 'ada', password: 'p@ss/word' }],
  ['redis://:a:b@cache', { host: 'cache', port: 6379, db: 0, password: 'a:b' }],
  ['rediss://:pw@cache', { host: 'cache', port: 6379, db: 0, password: 'pw', tls: {} }],
  ['redis+sentinel://s1:26379,s2/the%20master', {
    sentinels: [{ host: 's1', port: 26379 }, { host: 's2', port: 26379 }], name: 'the master', db: 0
  }],
  ['redis+sentinel://:pw@s1:1,[::1]:2/main/3', {
    sentinels: [{ host: 's1', port: 1 }, { host: '::1', port: 2 }], name: 'main', db: 3, password: 'pw', sentinelPassword: 'pw'
  }],
  ['redis://ada:a/b?c#d@cache', { host: 'cache', port: 6379, db: 0, username: 'ada', password: 'a/b?c#d' }],
  ['unix:///run/redis.sock', { path: '/run/redis.sock', db: 0 }],
  ['unix://:p%40ss@/run/with%20space/redis.sock?db=3', { path: '/run/with space/redis.sock', db: 3, password: 'p@ss' }],
  ['rediss+sentinel://ada:pw@s1/main', {
    sentinels: [{ host: 's1', port: 26379 }],
    name: 'main',
    db: 0,
    username: 'ada',
    password: 'pw',
    tls: {},
    sentinelUsername: 'ada',
    sentinelPassword: 'pw',
    sentinelTLS: {},
    enableTLSForSentinelMode: true
  }]
] as const

const clusters = [
  ['redis+cluster://h1:7000,h2', { nodes: [{ host: 'h1', port: 7000 }, { host: 'h2', port: 6379 }], options: {} }],
  ['rediss+cluster://:pw@h1:7000/', { nodes: [{ host: 'h1', port: 7000 }], options: { password: 'pw', tls: {} } }]
] as const

const broken = [
  '', 'localhost:6379', 'http://localhost', 'redis://', 'redis:///0', 'redis://h:0', 'redis://h:65536', 'redis://h:x', 'redis://h/x',
  'redis://h/-1', 'redis://h/0/1', 'redis://h?db=1', 'redis://h#1', 'redis://h1,h2', 'redis://::1', 'redis://[::1', 'redis://hunter2@h',
  'redis://ada:@h', 'redis://:%zz@h', 'redis://a@b:hunter2@h', 'redis+sentinel://s1', 'redis+sentinel://s1/', 'redis+sentinel://s1/m/0/x',
  'redis+sentinel://s1,/m', 'redis+cluster://h1/1', 'redis+other://h1', 'unix:', 'unix://', 'unix:///', 'unix://run/redis.sock',
  'unix:///run/redis.sock?db=x', 'unix:///r?password=hunter2', 'unix:///r#hunter2', 'redis+cluster+sentinel://h1'
]

t.test('one server, or the one that Sentinels name', async (t) => {
  for (const [url, options] of servers) t.same(parseRedisAddress(url), { kind: 'server', options }, url)
})

t.test('a cluster', async (t) => {
  for (const [url, rest] of clusters) t.same(parseRedisAddress(url), { kind: 'cluster', ...rest }, url)
})

t.test('O9 a broken address says what is wrong and shows nothing of itself', async (t) => {
  for (const url of broken) {
    const error = t.throws(() => parseRedisAddress(url), { name: 'RedisAddressError' }, url)
    t.notMatch(error, { message: /hunter2|\n/ })
  }
})
