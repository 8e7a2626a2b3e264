import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'

/*
 * Every user of the machine can read a process's arguments, and the shell's history keeps them. All commands shown or run here
 * pass passwords by a prompt, standard input, a file or the exported environment.
 */

/** A variable with an address that contains a password, or such an address itself. */
const ADDRESS = String.raw`(\$\{?(DATABASE|REDIS)_URL|\w+://[^\s/@:"']*:[^\s/@"']+@)`
const POSTGRES = String.raw`\b(psql|pg_\w+|createdb|dropdb|createuser|dropuser|vacuumdb|reindexdb|pgbench|clusterdb)\b`

const forbidden: ReadonlyArray<readonly [what: string, pattern: RegExp]> = [
  ['an address with a password for a program of PostgreSQL', new RegExp(`${POSTGRES}.*${ADDRESS}`)],
  ['a password in a statement or connection string', new RegExp(`${POSTGRES}.*\\bpassword\\b *['"=]`, 'i')],
  ['a password for redis-cli', new RegExp(`\\bredis-cli\\b.*( -a\\b| --pass\\b|${ADDRESS})`)],
  ['credentials for curl', new RegExp(`\\bcurl\\b.*( -u\\b| --user\\b|"password\\\\?"|${ADDRESS})`)],
  ['a password set for one command', /\b(PGPASSWORD|REDISCLI_AUTH|MYSQL_PWD|SSHPASS)=("[^"]*"|'[^']*'|\S+) +\S/],
  ['a password for our own command line', new RegExp(`\\b(countersign|npm run cli)\\b.*( --?(password|code|secret)\\b[= ]\\S|${ADDRESS})`)],
  ['a password for another program', / -pass(in|out)? +(pass:|["']?\$)|\bsshpass -p|\bmysql\w* .*-p\S/],
  ['a secret for oathtool', /\boathtool\b.* (["']?\$|[A-Z2-7]{16,}|[0-9a-f]{20,})/]
]

const faultsOf = (line: string): string[] => forbidden.filter(([, pattern]) => pattern.test(line)).map(([what]) => what)

/** Returns the lines of the text's shell blocks, with continued lines joined, and the inline code of the prose. */
function shellLines (text: string): string[] {
  const blocks = [...text.matchAll(/^ *```(?:sh|bash|shell|console)\n([^]*?)^ *```$/gm)].map(([, block = '']) => block)
  const prose = text.replace(/^ *```[^]*?^ *```$/gm, '')
  return [...blocks.flatMap(commandsOf), ...[...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)]
}

/** Splits a line at its pipes, because each part is its own process; `echo` and `printf` are built into the shell. */
function commandsOf (script: string): string[] {
  return script.replaceAll('\\\n', ' ').split('\n').flatMap((line) => line.split(/ \| | && | \|\| |\$\(/))
    .filter((part) => !/^\s*(echo|printf)\b/.test(part) && !/^\s*#/.test(part))
}

t.test('the scan finds what it is for, and nothing else', async (t) => {
  for (const bad of [
    'psql "$DATABASE_URL" -c "select 1"', 'psql $DATABASE_URL',
    'pg_dump --file=x postgres://ada:secret@db/app',
    "psql -c \"create role x login password 'y'\"",
    'pg_basebackup --dbname="host=db password=x"', 'redis-cli -a secret ping', 'redis-cli --pass x', 'redis-cli -u "$REDIS_URL" ping',
    'redis-cli -u redis://:x@db',
    'curl -u ada:secret http://x', 'curl http://ada:secret@x/',
    'curl -d \'{"password":"x"}\' http://x', 'curl -d "{\\"password\\":\\"x\\"}" http://x',
    'PGPASSWORD=x psql', 'PGPASSWORD="$(cat x)" countersign import django', 'npx countersign user create ada --password x',
    'npx countersign import django --from postgres://ada:secret@db/app', 'openssl rsa -passin pass:x',
    'sshpass -p x ssh y', 'mysql -uroot -psecret', 'oathtool --totp "$secret"'
  ]) t.not(faultsOf(bad).length, 0, bad)
  for (const good of [
    'psql -Atc "select 1"', 'pg_dump --format=custom --file=countersign.dump', 'createuser --login --pwprompt countersign',
    'redis-cli -h "$REDIS_HOST" ping',
    'export DATABASE_URL=postgres://ada:secret@db/app', 'curl -s $api/users -H "$json" -d @-', 'export PGPASSWORD',
    'npx countersign user password ada',
    'npx countersign import django --from postgres://reader@db/app', 'oathtool --totp --base32 -', 'pg_stat_activity'
  ]) t.same(faultsOf(good), [], good)
  const document = '```sh\npsql \\\n  "$DATABASE_URL"\n```\n- x\n  ```sh\n  redis-cli -a x\n  ```\n`curl -u a:b`'
  t.equal(shellLines(document).filter((line) => faultsOf(line).length > 0).length, 3)
})

t.test('no document passes a password as an argument', async (t) => {
  let lines = 0
  for (const folder of ['.', 'docs', 'plugins', 'routes', 'test'].filter((folder) => existsSync(folder))) {
    for (const name of (await readdir(folder)).filter((name) => name.endsWith('.md'))) {
      for (const line of shellLines(await readFile(join(folder, name), 'utf8'))) {
        lines++
        t.same(faultsOf(line), [], `${join(folder, name)}: ${line}`)
      }
    }
  }
  t.ok(lines > 100)
})

t.test('nor does a script', async (t) => {
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: Record<string, string> }
  for (const line of [...Object.values(scripts), ...commandsOf(await readFile('.ci/run', 'utf8'))]) t.same(faultsOf(line), [], line)
})
