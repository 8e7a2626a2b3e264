#!/usr/bin/env node
import { createRequire } from 'node:module'
import { Command, CommanderError } from 'commander'
import { asciiJson, createIo, printable, type Io } from './commands/io.js'
import type { Config } from './config.js'
import { Refusal } from './core/refusals.js'
import { describeError } from './log.js'

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }

const FAILED = 1
/** What was typed is no command: nothing was tried. */
const MISUSED = 2

/** What the operator can mend, by name: most of where they come from need not be loaded to say so. */
const PLAIN = ['CommandError', 'ConfigError', 'DataDirInUseError', 'DjangoSourceError', 'ExitPromptError', 'UnusableDatabaseError']

/** A command's work. What it returns is the exit code; nothing means 0. */
type Work = (io: Io, config: () => Config, args: string[], options: never) => Promise<number | void>

/** One command: its words and options, and the work, loaded when it is called. */
function add (parent: Command, usage: string, description: string, work: Work): Command {
  return parent.command(usage).description(description)
    .option('--json', 'answer in JSON, a value on each line')
    .action(async (...given: unknown[]) => {
      const command = given.pop() as Command
      const { json = false, ...options } = given.pop() as { json?: boolean }
      const io = createIo(json, process)
      try {
        const { readProcess } = await import('./config.js')
        const config = () => {
          const { config, notes } = readProcess(process.env, process.cwd())
          for (const { level, text } of notes) if (level === 'warn') console.error(text)
          return config
        }
        process.exitCode = await work(io, config, given as string[], options as never) ?? 0
      } catch (error) {
        fail(error, json, command)
      } finally {
        io.close()
      }
    })
}

/** What the operator can mend is one line; anything else shows where it came from. */
function fail (error: unknown, json: boolean, command: Command): void {
  const { type: name, message } = describeError(error)
  const plain = error instanceof Refusal || PLAIN.includes(name) || (error as { code?: string }).code === 'EADDRINUSE'
  const text = error instanceof Refusal && error.code === 'UNAVAILABLE' ? 'The database does not answer.' : message
  // Some of the text may be a server's that somebody else runs.
  if (json) console.error(asciiJson({ error: { command: command.name(), message: text } }))
  else console.error(plain ? printable(text) : stackOf(error))
  process.exitCode = FAILED
}

/** Where it came from, and none of what drivers hang on their errors: rows and parameters, password hashes among them. */
function stackOf (error: unknown): string {
  const { stack, cause } = describeError(error)
  return cause === undefined ? stack : `${stack}\ncaused by ${cause.stack}`
}

export const program = new Command('countersign')
  .description('A second factor for REST APIs: the service, and what its operators do.\nSettings come from the environment, as the server reads them.')
  .version(version)
  .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 misused, 3 an import that left something out. Secrets come from a prompt or standard input.')
  .exitOverride()

add(program, 'serve', 'listen for requests', async () => {
  const { config, notes } = (await import('./config.js')).readProcess(process.env, process.cwd())
  await (await import('./commands/serve.js')).serve(config, notes)
})

const migrate = program.command('migrate').description('the tables')
add(migrate, 'up', 'bring them up to date', async (io, config) => (await import('./commands/migrate.js')).migrateUpCommand(io, config()))
add(migrate, 'down', 'take back the newest migration, with all that its tables hold', async (io, config, _args, options) =>
  (await import('./commands/migrate.js')).migrateDownCommand(io, config(), options)).option('--yes', 'really')
add(migrate, 'status', 'what is still to do; exits with 1 if something is', async (io, config) => (await import('./commands/migrate.js')).migrateStatusCommand(io, config()))

const user = program.command('user').description('accounts')
add(user, 'create <username>', 'make somebody; the password comes from a prompt or standard input', async (io, config, [username], options) =>
  (await import('./commands/user.js')).createUserCommand(io, config(), username!, options))
  .option('--email <address>', 'where they are reached').option('--phone <number>', 'the same')
  .option('--first-name <name>', 'as they are called').option('--last-name <name>', 'the same')
  .option('--staff', 'a staff member')
  .option('--otp', 'with a second factor: draws the QR code, once, and asks for the first code')
add(user, 'list', 'everybody, by name', async (io, config) => (await import('./commands/user.js')).listUsersCommand(io, config()))
add(user, 'deactivate <username>', 'end every session and refuse the password', async (io, config, [username], options) =>
  (await import('./commands/user.js')).deactivateUserCommand(io, config(), username!, options))
  .option('--reason <text>', 'for the log of the user', 'by the operator')
add(user, 'password <username>', 'set a new password and end every session', async (io, config, [username]) =>
  (await import('./commands/user.js')).setPasswordCommand(io, config(), username!))

const otp = program.command('otp').description('second factors')
add(otp, 'reset <username>', 'take away devices and recovery codes, and show a one-time set-up code', async (io, config, [username], options) =>
  (await import('./commands/otp.js')).resetOtpCommand(io, config(), username!, options))
  .option('--reason <text>', 'for the log of the user', 'by the operator')
add(otp, 'status <username>', 'devices, recovery codes, lock', async (io, config, [username]) =>
  (await import('./commands/otp.js')).otpStatusCommand(io, config(), username!))

const keys = program.command('keys').description('key rings')
add(keys, 'new <kind>', 'a new entry for JWT_KEYS (HS256, EdDSA), SEAL_KEYS or WEBHOOK_KEYS (seal)', async (io, _config, [kind]) =>
  (await import('./commands/keys.js')).newKeyCommand(io, kind!))
add(keys, 'rotate', 'seal everything anew under the first of SEAL_KEYS, while the service runs', async (io, config) =>
  (await import('./commands/keys.js')).rotateKeysCommand(io, config()))

add(program.command('import').description('moving in'), 'django', 'bring over the users of a Django deployment that are not here yet', async (io, config, _args, options) =>
  (await import('./commands/import-django.js')).importDjangoCommand(io, config(), Object.assign({ password: process.env['PGPASSWORD'] }, options)))
  .requiredOption('--from <address>', 'postgres://user@host/database, without the password: that comes from PGPASSWORD or a prompt')
  .option('--dry-run', 'do it all in one transaction, and take it back')
  .option('--since <date>', 'only who joined, logged in or changed their profile since')

add(program.command('config').description('settings'), 'check', 'read the environment as the server does, and say what is wrong', async (io) =>
  (await import('./commands/config.js')).checkConfigCommand(io, process.env, process.cwd()))

/** Does what was typed, and leaves its exit code. */
export async function run (): Promise<void> {
  try {
    await program.parseAsync()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : MISUSED
  }
}
