import boundaries from 'eslint-plugin-boundaries'
import neostandard from 'neostandard'

const BASE = ['src/core', 'src/timing']
const TABLES = [...BASE, 'src/postgres', 'src/tables']
const EVENTS = [...TABLES, 'src/redis', 'src/budgets', 'src/events']
const SESSIONS = [...EVENTS, 'src/sessions']
const FACTORS = [...SESSIONS, 'src/factors']
const ATTACH = [...FACTORS, 'src/attach']
const ACCOUNTS = [...ATTACH, 'src/accounts']
const IMPORTS = [...ACCOUNTS, 'src/staff', 'src/imports', 'src/cleanup']
const ROUTES = [...IMPORTS, 'routes']
const PLUGINS = [...ROUTES, 'migrations', 'plugins']
const APP = [...PLUGINS, 'src/config', 'src/tracing', 'src']

/**
 * Which folders a folder may import beside itself: an allow list. A folder that is not listed may import nothing of ours, and nothing
 * of ours may import it. The packages are those that need a reason; the rest is free.
 */
export const layers = {
  migrations: { folders: [], packages: ['kysely'] },
  'src/core': { folders: [], packages: ['@otplib/totp'] },
  'src/timing': { folders: [], packages: [] },
  'src/tracing': { folders: [], packages: ['@opentelemetry/api', 'fastify'] },
  'src/postgres': { folders: BASE, packages: ['kysely', 'pg', '@electric-sql/pglite'] },
  'src/redis': { folders: [...BASE, 'src/postgres'], packages: ['ioredis'] },
  'src/tables': { folders: [...BASE, 'src/postgres'], packages: ['kysely'] },
  'src/budgets': { folders: TABLES, packages: ['kysely'] },
  'src/events': { folders: [...TABLES, 'src/redis'], packages: ['kysely'] },
  'src/sessions': { folders: EVENTS, packages: ['kysely'] },
  'src/factors': { folders: SESSIONS, packages: ['kysely'] },
  'src/attach': { folders: [...FACTORS, 'migrations'], packages: ['kysely', 'fastify'] },
  'src/accounts': { folders: ATTACH, packages: ['kysely'] },
  'src/staff': { folders: ACCOUNTS, packages: ['kysely'] },
  'src/imports': { folders: IMPORTS, packages: ['kysely', 'pg'] },
  'src/cleanup': { folders: ACCOUNTS, packages: ['kysely'] },
  'src/testing': { folders: [...TABLES, 'migrations'], packages: ['kysely'] },
  'src/client': { folders: ['src/core'], packages: [] },
  'src/config': { folders: [...EVENTS], packages: [] },
  // Runs in browsers: a client of the API.
  pages: { folders: ['src/core'], packages: [] },
  routes: { folders: IMPORTS, packages: ['fastify'] },
  plugins: { folders: PLUGINS, packages: ['fastify', 'kysely'] },
  'src/commands': { folders: APP, packages: ['fastify', 'kysely', 'pg'] },
  // The files of src itself: app.ts, http.ts, log.ts and the programs.
  src: { folders: [...APP, 'src/commands'], packages: ['fastify'] }
}

/** Packages that a layer may import only if it names them, and the imports that count as theirs. */
export const GUARDED = {
  fastify: ['fastify', 'fastify/**', 'fastify-plugin', '@fastify/**'],
  kysely: ['kysely', 'kysely/**'],
  pg: ['pg', 'pg/**', 'pg-*'],
  '@electric-sql/pglite': ['@electric-sql/**'],
  ioredis: ['ioredis', 'ioredis/**'],
  '@opentelemetry/api': ['@opentelemetry/**'],
  '@otplib/totp': ['otplib', 'otplib/**', '@otplib/**']
}

const elements = Object.keys(layers).map((layer) => ({ type: layer, pattern: layer }))

const EXTERNAL = { allow: { to: { module: { origin: ['external', 'core'] } } } }
const dependencies = (...policies) => ({ 'boundaries/dependencies': ['error', { default: 'disallow', checkAllOrigins: true, policies }] })

/** A block for each layer: the rule compares each import with each policy. The last policy that matches decides. */
const layerBlocks = Object.entries(layers).map(([layer, { folders, packages }]) => ({
  files: [layer === 'src' ? 'src/*.ts' : `${layer}/**/*.ts`],
  rules: dependencies(
    EXTERNAL,
    { allow: { to: { element: { types: { anyOf: [layer, ...folders] } } } } },
    ...Object.entries(GUARDED).filter(([name]) => !packages.includes(name)).map(([name, sources]) => ({
      disallow: { to: { module: { origin: 'external', source: sources } } },
      message: `${layer} does not know ${name}: call a function of a layer that does.`
    }))
  )
}))

const ENVIRONMENT = [
  "MemberExpression[object.name='process'][property.name='env']",
  "VariableDeclarator[init.name='process'] > ObjectPattern > Property[key.name='env']",
  "ImportDeclaration[source.value=/^(node:)?process$/] > ImportSpecifier[imported.name='env']"
].map((selector) => ({
  selector,
  message: 'The environment is read once, by the programs (src/server.ts, migrate.ts, commands/program.ts, commands/service.ts): ' +
    'take the setting from Config.'
}))

const CLOCK_AND_CHANCE = [
  "MemberExpression[object.name='Date'][property.name='now']",
  "NewExpression[callee.name='Date'][arguments.length=0]",
  "CallExpression[callee.name='Date']",
  "MemberExpression[object.name='performance']",
  "MemberExpression[object.name='process'][property.name=/^(hrtime|uptime)$/]",
  'ImportDeclaration[source.value=/^(node:)?perf_hooks$/]',
  "MemberExpression[object.name='Math'][property.name='random']"
].map((selector) => ({ selector, message: 'src/core is pure: take the time and the random number from the caller.' }))

/** Text becomes markup only in templates, where values are text. */
const MARKUP_SINKS = [
  'MemberExpression[property.name=/^(innerHTML|outerHTML|srcdoc|insertAdjacentHTML|setHTMLUnsafe)$/]',
  'MemberExpression[property.name=/^(parseFromString|createContextualFragment)$/]',
  "MemberExpression[object.name='document'][property.name=/^write(ln)?$/]",
  'ImportDeclaration[source.value=/unsafe-(html|svg|mathml|static)|static-html|static\\.js/]',
  'CallExpression[callee.name=/^(eval|Function)$/]'
].map((selector) => ({ selector, message: 'Text becomes markup here. Write a template of Lit: its values are text.' }))

/** Files whose statements the builder does not build yet. */
const UNTYPED = [
  'src/events/log.ts', 'src/factors/{attempt,lockout}-statements.ts', 'src/factors/recovery/digest-key.ts', 'src/imports/write.ts',
  'src/sessions/{marks,policy,statements}.ts'
]

const SQL_TAG = [{
  selector: "TaggedTemplateExpression[tag.name='sql']",
  message: 'Build the statement by the query builder. Only a file *.sql.ts has sql templates, and src/tables for expressions.'
}]

const PLAIN_POOL = [{
  selector: "NewExpression[callee.property.name='Pool']",
  message: 'Use openPool of test/helpers/database.ts: without a listener, a lost connection fails the file.'
}]

/** Files with sql templates. A statement that must decide in one, and that the builder cannot express, is in a file `*.sql.ts`. */
const WITH_SQL = [
  '**/*.sql.ts', 'src/tables/{values,primary,identity,recordset}.ts', 'src/postgres/migrator.ts', ...UNTYPED
]

const restrict = (files, ...selectors) => ({
  files,
  rules: { 'no-restricted-syntax': selectors.length === 0 ? 'off' : ['error', ...selectors] }
})

export default [
  ...neostandard({ ts: true, ignores: ['build/', 'dist/', 'service/dist/', '.tap/', '.countersign/', 'src/tables/schema.ts'] }),
  // `void f()` says that nothing waits for it. A line fits into a split editor.
  { rules: { 'no-void': ['error', { allowAsStatement: true }], '@stylistic/max-len': ['error', { code: 140, tabWidth: 2 }] } },
  {
    files: ['src/**/*.ts', 'plugins/**/*.ts', 'routes/**/*.ts', 'migrations/**/*.ts', 'pages/**/*.ts'],
    plugins: { boundaries },
    settings: { 'import/resolver': { typescript: true }, 'boundaries/elements': elements },
    rules: {
      // In a folder that is no layer.
      ...dependencies(EXTERNAL),
      'boundaries/no-unknown-files': 'error',
      'boundaries/no-unknown-dependencies': 'error'
    }
  },
  ...layerBlocks,
  {
    files: ['src/**/*.ts', 'plugins/**/*.ts', 'routes/**/*.ts'],
    rules: { 'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }] }
  },
  {
    files: ['src/**/*.ts', 'plugins/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', {
        patterns: [{
          regex: '/attach/inside\\.js$',
          importNames: ['insideOf'],
          message: 'For tests. The service creates its parts in src/app.ts and hands them on.'
        }]
      }]
    }
  },
  restrict(['src/**/*.ts', 'plugins/**/*.ts', 'routes/**/*.ts'], ...ENVIRONMENT, ...SQL_TAG),
  restrict(['pages/**/*.ts'], ...MARKUP_SINKS),
  restrict(['test/**/*.test.ts'], ...PLAIN_POOL),
  restrict(WITH_SQL, ...ENVIRONMENT),
  restrict(['src/core/**/*.ts'], ...ENVIRONMENT, ...SQL_TAG, ...CLOCK_AND_CHANCE),
  restrict(['src/server.ts', 'src/migrate.ts', 'src/commands/program.ts', 'src/commands/service.ts'], ...SQL_TAG)
]
