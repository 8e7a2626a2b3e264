import { Command, CommanderError, Help } from 'commander'
import { version } from '../version.js'
import { CommandError } from './io.js'
import { loadService } from './load-service.js'
import { newKeyCommand } from './keys/new-key.js'
import { MISUSED, runWork, type Given, type Work } from './run.js'
import type { ServiceCommand } from './service.js'

/*
 * Declares all commands. It is part of the package that hosts attach: a command that needs the service loads src/commands/service.ts.
 */

/** Adds one command with its options. */
function add (parent: Command, usage: string, description: string, run: (name: string, given: Given) => Promise<number>): Command {
  return parent.command(usage).description(description)
    .option('--json', 'answer in JSON, a value on each line')
    .action(async (...given: unknown[]) => {
      const command = given.pop() as Command
      const { json = false, ...options } = given.pop() as { json?: boolean }
      process.exitCode = await run(command.name(), { args: given as string[], options, json })
    })
}

/** Adds a command that works without the service. */
function addHere (parent: Command, usage: string, description: string, work: Work): Command {
  return add(parent, usage, description, (name, given) => runWork(name, work, given))
}

/** Adds a command of the service, which `work` names. */
function addService (parent: Command, usage: string, description: string, work: ServiceCommand): Command {
  return add(parent, usage, description, async (name, given) => {
    let exitCode = 0
    const load = async () => {
      const { runCommand } = await loadService()
      exitCode = await runCommand(work, given)
    }
    return await runWork(name, load, given) || exitCode
  })
}

/** @throws {CommandError} without the driver, which a host installs for itself */
async function loadTables () {
  return await import('./tables.js').catch((error: unknown) => {
    if ((error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new CommandError('This command needs the driver of PostgreSQL, which is not installed: npm install pg')
  })
}

const REHEARSE = 'rehearse: do everything in one transaction, and roll it back'

/** Adds the options of an import that can leave out older users. */
function withSince (command: Command, which = 'only users who are new, or changed there, since then'): Command {
  return command.option('--dry-run', REHEARSE).option('--since <date>', which)
}

/** Adds the options of an import from a database. */
function withDatabase (command: Command): Command {
  return withSince(command)
    .requiredOption('--from <address>', 'postgres://user@host/database, without the password: that comes from FROM_PASSWORD or a prompt')
}

/** Adds the reason that the user reads in the account's log. */
function withReason (command: Command): Command {
  return command.option('--reason <text>', 'reason, for the log of the user', 'by the operator')
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

addService(program, 'serve', 'start the service, and listen for requests', 'serve')

const migrate = program.command('migrate').description('the tables of the service')
addService(migrate, 'up', 'bring the tables up to date', 'migrate up')
addService(migrate, 'down', 'undo the newest migration, and drop its tables with all rows', 'migrate down')
  .option('--yes', 'confirm that rows are lost')
addService(migrate, 'status', 'list the migrations that are missing; exits with 1 if there are any', 'migrate status')

const tables = program.command('tables').description('the tables of an attached host, at DATABASE_URL')
const addTables = (usage: string, description: string, work: Work) =>
  addHere(tables, usage, description, work).option('--schema <name>', 'schema of the tables', 'countersign')
addTables('up', 'bring the tables of an attached host up to date', async (io, _args, options) =>
  (await loadTables()).tablesUpCommand(io, process.env, options))
addTables('status', 'list the migrations that are missing there; exits with 1 if there are any', async (io, _args, options) =>
  (await loadTables()).tablesStatusCommand(io, process.env, options))
addTables('sql', 'print the statements that bring an empty schema up to date', async (io, _args, options) =>
  (await loadTables()).tablesSqlCommand(io, options))

const user = program.command('user').description('accounts')
addService(user, 'create <username>', 'create an account; asks for the password', 'user create')
  .option('--email <address>', 'e-mail address, for the profile').option('--phone <number>', 'phone number, for the profile')
  .option('--first-name <name>', 'first name, for the profile').option('--last-name <name>', 'last name, for the profile')
  .option('--staff', 'make it a member of staff; without --otp, a one-time set-up code is printed')
  .option('--otp', 'set up the second factor now: draws the QR code, once, and asks for the first code')
addService(user, 'list', 'list all accounts, by name', 'user list')
addService(user, 'find <name-or-e-mail>', 'find accounts by the start of the username, or by the e-mail address', 'user find')
addService(user, 'show <username>', 'show an account: profile, staff, second factor, lock', 'user show')
addService(user, 'events <username>', 'show the newest security events of an account', 'user events')
  .option('--limit <number>', 'number of events', '50')
addService(user, 'password <username>', 'set a new password and end every session', 'user password')
withReason(addService(user, 'resume-mail <username>', 'let mails go to the address of a user again', 'user resume-mail'))
withReason(addService(user, 'deactivate <username>', 'end every session and refuse the password', 'user deactivate'))
withReason(addService(user, 'reactivate <username>', 'accept the password again', 'user reactivate'))
addService(user, 'unlock <username>', 'clear the wrong codes and the lock of the second factor', 'user unlock')
withReason(addService(user, 'promote <username>', 'make a user a member of staff', 'user promote'))
withReason(addService(user, 'demote <username>', 'make a member of staff an ordinary user', 'user demote'))
addService(user, 'set <username>', 'set the accounts elsewhere that an account refers to', 'user set')
  .option('--power-account-id <number>', 'id of the power account, or none')
  .option('--power-contact-id <number>', 'id of the power contact, or none')

const sessions = program.command('sessions').description('where users are logged in')
addService(sessions, 'list <username>', 'list the living sessions of a user, the last seen first', 'sessions list')
addService(sessions, 'end [username]', 'end sessions of a user or of all; the service may run', 'sessions end')
  .option('--session <id>', 'this session alone').option('--all', 'every session of every user')

const otp = program.command('otp').description('second factors')
withReason(addService(otp, 'reset <username>', 'remove devices and codes; prints a set-up code', 'otp reset'))
addService(otp, 'status <username>', 'devices, recovery codes, lock', 'otp status')
addService(otp, 'unlock <username>', 'the same as "user unlock"', 'user unlock')

const keys = program.command('keys').description('key rings')
addHere(keys, 'new <kind>', 'a new entry for JWT_KEYS (HS256, EdDSA), or for SEAL_KEYS, WEBHOOK_KEYS, CLIENT_KEYS (seal)', (io, [kind]) =>
  newKeyCommand(io, kind!))
addService(keys, 'rotate', 'seal all rows again under the first of SEAL_KEYS, while the service runs', 'keys rotate')

const imports = program.command('import').description('import from another system')
withDatabase(addService(imports, 'django', 'import the users of a Django deployment that are not here yet', 'import django'))
addService(imports, 'jsonl <file>', 'import users from JSON lines (docs/moving.md); - for standard input', 'import jsonl')
  .option('--dry-run', REHEARSE).option('--key-file <path>', 'key of a file that was sealed by export')
withSince(addService(imports, 'keycloak [file]', 'import the users of a realm export', 'import keycloak'),
  'only users who were made there since then: an export has no time of a change')
  .option('--dir <folder>', 'folder of an export in several files, in place of the file')
withDatabase(addService(imports, 'better-auth', 'import the users of a better-auth deployment', 'import better-auth'))
  .option('--digits <number>', 'digits of a code there', '6').option('--period <seconds>', 'period of a code there', '30')
withDatabase(addService(imports, 'supabase', 'import the users of a Supabase project', 'import supabase'))
addService(imports, 'undo <source>', 'delete the users of an import, such as django, while none of them has logged in', 'import undo')

const exports = program.command('export').description('export to another system')
addService(exports, 'jsonl', 'write users as JSON lines to standard output (docs/moving.md)', 'export jsonl')
  .option('--user <username>', 'this user alone')
  .option('--with-secrets', 'password hashes, secrets of apps and digests of recovery codes too; sealed under --key-file')
  .option('--key-file <path>', 'file of 32 bytes in base64url that the secrets are sealed under; nobody else may read it')
  .option('--reason <text>', 'reason, for the log of each user')

const mail = program.command('mail').description('mails to users')
addService(mail, 'test <address>', 'send one message with the settings of the service, and show the answer', 'mail test')

const settings = program.command('config').description('settings')
addService(settings, 'check', 'read the environment as the server does, and say what is wrong', 'config check')

/** Runs the command of the arguments, and sets its exit code. */
export async function run (): Promise<void> {
  try {
    await program.parseAsync()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : MISUSED
  }
}
