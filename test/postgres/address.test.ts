import t from 'tap'
import { addressFault, parsePostgresAddress } from '../../src/postgres/address.js'

type Parts = Partial<Omit<ReturnType<typeof parsePostgresAddress>, 'hosts'>> & { hosts?: Array<readonly [host: string, port?: number]> }

/** As pg-connection-string 2.14 and libpq 15 read them, where at least one of them does. */
const addresses: ReadonlyArray<readonly [url: string, parts: Parts]> = [
  ['postgres://ada:pa55@db.example:5433/app',
    { hosts: [['db.example', 5433]], user: 'ada', password: 'pa55', database: 'app', target: 'any' }],
  ['postgresql://db.example', { hosts: [['db.example']], user: '', password: '', database: '' }],
  ['postgres:///app', { hosts: [['']], database: 'app' }],
  ['postgres://u@/db?host=/run/postgresql', { hosts: [['/run/postgresql']], user: 'u', database: 'db' }],
  ['postgres://u@:5433/db?host=/run/postgresql', { hosts: [['/run/postgresql', 5433]], user: 'u' }],
  ['postgres://%2Frun%2Fpostgresql/db', { hosts: [['/run/postgresql']], database: 'db' }],
  ['postgres://u:p@%2frun%2fpostgresql:5433/db', { hosts: [['/run/postgresql', 5433]], user: 'u', password: 'p' }],
  ['postgres:///?host=/run/x&dbname=foo&user=bar&password=b%23z', { hosts: [['/run/x']], database: 'foo', user: 'bar', password: 'b#z' }],
  ['postgres://u:p@[2001:db8::1]:5/db', { hosts: [['2001:db8::1', 5]] }],
  ['postgres://h?user=a@b', { hosts: [['h']], user: 'a@b' }],
  ['postgres://h:5432?user=a@b', { hosts: [['h', 5432]], user: 'a@b' }],
  ['postgres://h/db?application_name=a@b', { hosts: [['h']], database: 'db', parameters: { application_name: 'a@b' } }],
  ['postgres://h/d%20b', { database: 'd b' }],
  ['postgres://h/d%23b%2Fc', { database: 'd#b/c' }],
  ['postgres://h/db#x', { database: 'db#x' }],
  ['postgres://u:p@my_host/db', { hosts: [['my_host']] }],

  // Passwords, encoded and as they are.
  ['postgres://u:p%23w%2F%3F%40%25@h/db', { password: 'p#w/?@%', hosts: [['h']], database: 'db' }],
  ['postgres://u:p#w@h/db', { user: 'u', password: 'p#w', hosts: [['h']], database: 'db' }],
  ['postgres://u:#w@h/db', { password: '#w', hosts: [['h']] }],
  ['postgres://u:12#34@h/db', { password: '12#34', hosts: [['h']] }],
  ['postgres://u:p/w@h/db', { user: 'u', password: 'p/w', hosts: [['h']], database: 'db' }],
  ['postgres://u:/w@h/db', { password: '/w', hosts: [['h']] }],
  ['postgres://u:p?w@h:1/db', { password: 'p?w', hosts: [['h', 1]] }],
  ['postgres://u:12?34@h/db', { password: '12?34', hosts: [['h']] }],
  ['postgres://u:a/b?c#d=e@h:5433/db?sslmode=disable',
    { password: 'a/b?c#d=e', hosts: [['h', 5433]], database: 'db', parameters: { sslmode: 'disable' } }],
  ['postgres://u:a#b@c@h/db', { password: 'a#b@c', hosts: [['h']] }],
  ['postgres://u:p@w@h/db', { password: 'p@w', hosts: [['h']] }],
  ['postgres://u:a:b@h/db', { user: 'u', password: 'a:b' }],
  ['postgres://u:100%@h/db', { password: '100%' }],
  ['postgres://u:p w@h/db', { password: 'p w' }],
  ['postgres://u:a%2523@h/db', { password: 'a%23' }],
  ['postgres://u:p[w]\\@h/db', { password: 'p[w]\\' }],
  ['postgres://%C3%A4:%C3%A9é@h/db', { user: 'ä', password: 'éé' }],

  // Several hosts.
  ['postgres://h1,h2/db', { hosts: [['h1'], ['h2']], database: 'db', target: 'primary' }],
  ['postgres://u:p@h1:1,h2:2,h3/db?target_session_attrs=read-write',
    { hosts: [['h1', 1], ['h2', 2], ['h3']], user: 'u', target: 'primary' }],
  ['postgres://u:p#w@[::1]:5,[::2]/db', { hosts: [['::1', 5], ['::2']], password: 'p#w' }],
  ['postgres://u@/db?host=h1,h2&port=1,2', { hosts: [['h1', 1], ['h2', 2]] }],
  ['postgres://u@/db?host=h1,/run/x&port=7', { hosts: [['h1', 7], ['/run/x', 7]] }],
  ['postgres://h1,h2/db?target_session_attrs=any', { target: 'any' }],
  ['postgres://h1,h2/db?target_session_attrs=prefer-standby', { target: 'any' }],
  ['postgres://h/db?target_session_attrs=primary', { target: 'primary' }],
  ['postgres://h/db?target_session_attrs=standby', { target: 'standby' }]
]

t.test('what pg and libpq take is taken, as they mean it', async (t) => {
  for (const [url, { hosts, ...parts }] of addresses) {
    const parsed = parsePostgresAddress(url)
    t.match(parsed, parts, url)
    if (hosts !== undefined) t.strictSame(parsed.hosts.map(({ host, port }) => port === undefined ? [host] : [host, port]), hosts, url)
  }
})

t.test('what cannot be read is refused with its reason, which shows nothing of it', async (t) => {
  for (const [url, reason] of [
    ['', /postgres:\/\//], ['mysql://hunter2@h/d', /postgres:\/\//], ['h:5432', /postgres:\/\//], ['postgres:h', /postgres:\/\//],
    ['host=h dbname=d', /postgres:\/\//], ['postgres://h\n', /postgres:\/\//],
    ['postgres://h:x/d', /ports/], ['postgres://h:0/d', /ports/], ['postgres://h:70000/d', /ports/],
    ['postgres://h:1:2/d', /host and a port/], ['postgres://[::1/d', /host and a port/], ['postgres://::1/d', /host and a port/],
    ['postgres://u:hunter2@h:5432x/d', /ports/], ['postgres://u:hunter2@h h/d', /host and a port/],
    ['postgres://u:%ffhunter2@h/d', /UTF-8/], ['postgres://h/%c3', /UTF-8/],
    ['postgres://h1,h2/d?port=1,2,3', /as many as hosts/], ['postgres://h/d?target_session_attrs=hunter2', /target_session_attrs/]
  ] as const) {
    const fault = addressFault(url)
    t.match(fault, reason, url)
    t.notMatch(fault, /hunter2|\n/)
  }
})
