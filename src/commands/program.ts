#!/usr/bin/env node
import { createRequire } from 'node:module'
import { Command, CommanderError, Help } from 'commander'
import { asciiJson, createIo, MisuseError, printable, type Io } from './io.js'
import { tableCommands } from './table-commands.js'
import type { Config } from '../config/config.js'
import { Refusal } from '../core/refusals.js'
import { describeError } from '../log.js'
import { lineOf } from '../postgres/unusable.js'

const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string }

const FAILED = 1
/** Exit code for unknown commands and wrong arguments; the program did nothing. */
const MISUSED = 2

/** Names of errors that an operator can fix. Names, because most of the modules need not be loaded. */
const PLAIN = [
  'CommandError', 'ConfigError', 'DataDirInUseError', 'ExitPromptError', 'NamespaceTakenError', 'SealedElsewhereError',
  'SourceError', 'UnusableDatabaseError'
]

const JSON_OPTION = ['--json', 'answer in JSON, a value on each line'] as const

/** Work of a command. Returns the exit code; undefined means 0. */
type Work = (io: Io, config: () => Config, args: string[], options: never) => Promise<number | void>

/** Adds one command with its options. Its module is loaded when the command is called. */
function add (parent: Command, usage: string, description: string, work: Work): Command {
  return parent.command(usage).description(description)
    .option(...JSON_OPTION)
    .action(async (...given: unknown[]) => {
      const command = given.pop() as Command
      const { json = false, ...options } = given.pop() as { json?: boolean }
      const io = createIo(json, process)
      try {
        const { readProcess } = await import('../config/config.js')
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

/** Adds the reason that the user reads in the account's log. */
function withReason (command: Command): Command {
  return command.option('--reason <text>', 'reason, for the log of the user', 'by the operator')
}

/** Prints an error that an operator can fix in one line, and any other error with its stack. */
function fail (error: unknown, json: boolean, command: Command): void {
  const { type: name } = describeError(error)
  const plain = error instanceof Refusal || PLAIN.includes(name) || (error as { code?: string }).code === 'EADDRINUSE'
  const text = error instanceof Error ? lineOf(error) : String(error)
  // Part of the text may come from a server of another owner.
  if (json) console.error(asciiJson({ error: { command: command.name(), message: text } }))
  else console.error(plain ? printable(text) : stackOf(error))
  process.exitCode = error instanceof MisuseError ? MISUSED : FAILED
}

/** Returns the stack of an error without the fields that drivers add: rows and parameters, password hashes included. */
function stackOf (error: unknown): string {
  const { stack, cause } = describeError(error)
  return cause === undefined ? stack : `${stack}\ncaused by ${cause.stack}`
}

const standardHelp = new Help()
const groupOf = ({ parent }: Command) => parent === null || parent.parent === null ? '' : `${parent.name()} `

export const program = new Command('countersign')
  .description(
    'A second factor for REST APIs: the service, and what its operators do.\nSettings come from the environment, as the server reads them.'
  )
  .version(version)
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 failed, 2 misused, 3 an import that left something out. Secrets come from a prompt or standard input.'
  )
  .exitOverride()
  .configureHelp({
    // Lists the commands themselves, not their groups.
    visibleCommands: (command) => command.commands.flatMap((one) => one.commands.length === 0 ? one : one.commands),
    subcommandTerm: (command) => `${groupOf(command)}${standardHelp.subcommandTerm(command)}`
  })

add(program, 'serve', 'start the service, and listen for requests', async () => {
  const { config, notes } = (await import('../config/config.js')).readProcess(process.env, process.cwd())
  await (await import('./serve.js')).serve(config, notes)
})

const migrate = program.command('migrate').description('the tables of the service')
add(migrate, 'up', 'bring the tables up to date', async (io, config) =>
  (await import('./migrate.js')).migrateUpCommand(io, config()))
add(migrate, 'down', 'undo the newest migration, and drop its tables with all rows', async (io, config, _args, options) =>
  (await import('./migrate.js')).migrateDownCommand(io, config(), options)).option('--yes', 'confirm that rows are lost')
add(migrate, 'status', 'list the migrations that are missing; exits with 1 if there are any', async (io, config) =>
  (await import('./migrate.js')).migrateStatusCommand(io, config()))

// For hosts, which do not install the other dependencies, src/bin.ts runs these commands without this file.
const tables = program.command('tables').description('the tables of an attached host, at DATABASE_URL')
for (const [name, description] of Object.entries(tableCommands)) {
  tables.command(name).description(description)
    .option('--schema <name>', 'schema of the tables', 'countersign').option(...JSON_OPTION)
    .action(async () => {
      process.exitCode = await (await import('./tables.js')).tablesCommand(process.argv.slice(3), process.env)
    })
}

const unlock: Work = async (io, config, [username]) =>
  (await import('./user-changes.js')).unlockUserCommand(io, config(), username!)
const user = program.command('user').description('accounts')
add(user, 'create <username>', 'create an account; asks for the password', async (io, config, [username], options) =>
  (await import('./user.js')).createUserCommand(io, config(), username!, options))
  .option('--email <address>', 'e-mail address, for the profile').option('--phone <number>', 'phone number, for the profile')
  .option('--first-name <name>', 'first name, for the profile').option('--last-name <name>', 'last name, for the profile')
  .option('--staff', 'make it a member of staff; without --otp, a one-time set-up code is printed')
  .option('--otp', 'set up the second factor now: draws the QR code, once, and asks for the first code')
add(user, 'list', 'list all accounts, by name', async (io, config) => (await import('./user.js')).listUsersCommand(io, config()))
add(user, 'find <name-or-e-mail>', 'find accounts by the start of the username, or by the e-mail address', async (io, config, [query]) =>
  (await import('./user.js')).findUserCommand(io, config(), query!))
add(user, 'show <username>', 'show an account: profile, staff, second factor, lock', async (io, config, [username]) =>
  (await import('./user.js')).showUserCommand(io, config(), username!))
add(user, 'events <username>', 'show the newest security events of an account', async (io, config, [username], options) =>
  (await import('./user.js')).userEventsCommand(io, config(), username!, options))
  .option('--limit <number>', 'number of events', '50')
add(user, 'password <username>', 'set a new password and end every session', async (io, config, [username]) =>
  (await import('./user.js')).setPasswordCommand(io, config(), username!))
withReason(add(user, 'deactivate <username>', 'end every session and refuse the password', async (io, config, [username], options) =>
  (await import('./user-changes.js')).deactivateUserCommand(io, config(), username!, options)))
withReason(add(user, 'reactivate <username>', 'accept the password again', async (io, config, [username], options) =>
  (await import('./user-changes.js')).reactivateUserCommand(io, config(), username!, options)))
add(user, 'unlock <username>', 'clear the wrong codes and the lock of the second factor', unlock)
withReason(add(user, 'promote <username>', 'make a user a member of staff', async (io, config, [username], options) =>
  (await import('./user-changes.js')).promoteUserCommand(io, config(), username!, options)))
withReason(add(user, 'demote <username>', 'make a member of staff an ordinary user', async (io, config, [username], options) =>
  (await import('./user-changes.js')).demoteUserCommand(io, config(), username!, options)))
add(user, 'set <username>', 'set the accounts elsewhere that an account refers to', async (io, config, [username], options) =>
  (await import('./user-changes.js')).setReferencesCommand(io, config(), username!, options))
  .option('--power-account-id <number>', 'id of the power account, or none')
  .option('--power-contact-id <number>', 'id of the power contact, or none')

const sessions = program.command('sessions').description('where users are logged in')
add(sessions, 'list <username>', 'list the living sessions of a user, the last seen first', async (io, config, [username]) =>
  (await import('./sessions.js')).listSessionsCommand(io, config(), username!))
add(sessions, 'end [username]', 'end sessions of a user or of all; the service may run', async (io, config, [username], options) =>
  (await import('./sessions.js')).endSessionsCommand(io, config(), username, options))
  .option('--session <id>', 'this session alone').option('--all', 'every session of every user')

const otp = program.command('otp').description('second factors')
withReason(add(otp, 'reset <username>', 'remove devices and codes; prints a set-up code', async (io, config, [username], options) =>
  (await import('./otp.js')).resetOtpCommand(io, config(), username!, options)))
add(otp, 'status <username>', 'devices, recovery codes, lock', async (io, config, [username]) =>
  (await import('./otp.js')).otpStatusCommand(io, config(), username!))
add(otp, 'unlock <username>', 'the same as "user unlock"', unlock)

const keys = program.command('keys').description('key rings')
add(keys, 'new <kind>', 'a new entry for JWT_KEYS (HS256, EdDSA), SEAL_KEYS or WEBHOOK_KEYS (seal)', async (io, _config, [kind]) =>
  (await import('./keys.js')).newKeyCommand(io, kind!))
add(keys, 'rotate', 'seal all rows again under the first of SEAL_KEYS, while the service runs', async (io, config) =>
  (await import('./keys.js')).rotateKeysCommand(io, config()))

/** Password of a source database. PGPASSWORD is its older name. */
const sourcePassword = () => process.env['FROM_PASSWORD'] ?? process.env['PGPASSWORD']
const imports = program.command('import').description('import from another system')
add(imports, 'django', 'import the users of a Django deployment that are not here yet', async (io, config, _args, options) =>
  (await import('./import-django.js')).importDjangoCommand(io, config(), Object.assign({ password: sourcePassword() }, options)))
  .requiredOption('--from <address>', 'postgres://user@host/database, without the password: that comes from FROM_PASSWORD or a prompt')
  .option('--dry-run', 'rehearse: do everything in one transaction, and roll it back')
  .option('--since <date>', 'only users who joined, logged in or changed their profile since then')

const settings = program.command('config').description('settings')
add(settings, 'check', 'read the environment as the server does, and say what is wrong', async (io) =>
  (await import('./config.js')).checkConfigCommand(io, process.env, process.cwd()))

/** Runs the command of the arguments, and sets its exit code. */
export async function run (): Promise<void> {
  try {
    await program.parseAsync()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : MISUSED
  }
}
