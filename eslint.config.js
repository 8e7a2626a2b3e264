import neostandard from 'neostandard'

/**
 * The arrows of the code's layers: core ← db, sessions ← flows ← routes ← plugins ← src/app.ts ← src/server.ts.
 * Each rule forbids what a pattern matches in an import, static or dynamic, and says why.
 */
const FRAMEWORK = ['^(fastify($|/)|fastify-plugin$|@fastify/)', 'Only routes, plugins and src/app.ts know Fastify.']
const KYSELY = ['^kysely($|/)', 'Kysely is for src/db and migrations: call a function of src/db.']
const POSTGRES = ['^(pg($|-|/)|@electric-sql/)', 'Postgres is for src/db: call a function of src/db.']
const REDIS = ['^ioredis($|/)', 'ioredis is for src/redis: go through its link, which knows when Redis is down.']
const SERVER = ['^\\.{1,2}/(.*/)?server\\.js$', 'src/server.ts has side effects: nothing imports it.']
const APP = ['^\\.{1,2}/(.*/)?app\\.js$', 'src/app.ts puts everything together: nothing that it uses imports it.']
const OUTER = ['^\\.{1,2}/(.*/)?(flows|routes|plugins)/', 'This layer lies below the flows, routes and plugins: they import it.']
const HTTP = ['^\\.{1,2}/(.*/)?(routes|plugins)/', 'A flow does not know that it is called over HTTP.']
const STORES = ['^\\.{1,2}/(.*/)?(db|redis|sessions|embedded)/', 'src/core is the domain: it knows no store.']
const OURS = ['^\\.\\.', 'A migration is frozen in time: it imports no code of ours, which moves on.']

const ENVIRONMENT = [
  "MemberExpression[object.name='process'][property.name='env']",
  "VariableDeclarator[init.name='process'] > ObjectPattern > Property[key.name='env']",
  "ImportDeclaration[source.value=/^(node:)?process$/] > ImportSpecifier[imported.name='env']"
].map((selector) => ({ selector, message: 'The environment is read once, by what is started (src/server.ts, src/migrate.ts, src/commands/program.ts, src/bin.ts): take the setting from Config.' }))

const CLOCK_AND_CHANCE = [
  "MemberExpression[object.name='Date'][property.name='now']",
  "NewExpression[callee.name='Date'][arguments.length=0]",
  "CallExpression[callee.name='Date']",
  "MemberExpression[object.name='performance']",
  "MemberExpression[object.name='process'][property.name=/^(hrtime|uptime)$/]",
  'ImportDeclaration[source.value=/^(node:)?perf_hooks$/]',
  "MemberExpression[object.name='Math'][property.name='random']"
].map((selector) => ({ selector, message: 'src/core is pure: take the time, and chance, from the caller.' }))

/** One entry per folder, whole: where two match a file, ESLint takes the later one and forgets the earlier. */
const layer = (files, patterns, syntax = ENVIRONMENT) => ({
  files,
  rules: {
    'no-restricted-imports': ['error', { patterns: patterns.map(([regex, message]) => ({ regex, message })) }],
    'no-restricted-syntax': ['error', ...syntax, ...patterns.map(([regex, message]) => ({
      selector: `ImportExpression[source.value=/${regex.replaceAll('/', '\\u002F')}/]`,
      message
    }))]
  }
})

export default [
  ...neostandard({ ts: true, ignores: ['build/', 'dist/', '.tap/', '.countersign/'] }),
  // `void f()` says that nobody waits for it.
  { rules: { 'no-void': ['error', { allowAsStatement: true }] } },
  layer(['src/**/*.ts'], [KYSELY, POSTGRES, REDIS, SERVER]),
  layer(['src/core/**/*.ts'], [FRAMEWORK, KYSELY, POSTGRES, REDIS, STORES, OUTER, APP, SERVER], [...ENVIRONMENT, ...CLOCK_AND_CHANCE]),
  layer(['src/db/**/*.ts'], [FRAMEWORK, REDIS, OUTER, APP, SERVER]),
  layer(['src/redis/**/*.ts'], [FRAMEWORK, KYSELY, POSTGRES, OUTER, APP, SERVER]),
  layer(['src/sessions/**/*.ts'], [FRAMEWORK, KYSELY, POSTGRES, REDIS, OUTER, APP, SERVER]),
  layer(['src/flows/**/*.ts'], [FRAMEWORK, KYSELY, POSTGRES, REDIS, HTTP, APP, SERVER]),
  layer(['src/server.ts', 'src/migrate.ts', 'src/commands/program.ts', 'src/bin.ts'], [KYSELY, POSTGRES, REDIS, SERVER], []),
  layer(['routes/**/*.ts', 'plugins/**/*.ts'], [KYSELY, POSTGRES, REDIS, APP, SERVER]),
  layer(['migrations/**/*.ts'], [FRAMEWORK, POSTGRES, REDIS, OURS]),
  layer(['test/**/*.ts'], [SERVER], [])
]
