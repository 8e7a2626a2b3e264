import { readProcess, type Config } from '../config/config.js'
import type { Io } from './io.js'
import { runWork, type Given } from './run.js'

/*
 * The commands that need the service. src/commands/program.ts declares them, and loads this module: from the same checkout, or
 * from the package `countersign-service`, whose main module it is.
 */

export { version } from '../version.js'

/** Work of a command, which reads the configuration when it needs it. */
type ServiceWork = (io: Io, config: () => Config, args: string[], options: never) => Promise<number | void> | number | void

/** Password of a source database. PGPASSWORD is its older name. */
const sourcePassword = () => process.env['FROM_PASSWORD'] ?? process.env['PGPASSWORD']

/** Each module is loaded when its command is called. */
const works = {
  serve: async () => {
    const { config, notes } = readProcess(process.env, process.cwd())
    // npm sets this for the commands that it runs.
    const endsWithParent = process.env['npm_command'] !== undefined
    await (await import('./serve/serve.js')).serve(config, notes, { endsWithParent, isTerminal: process.stdout.isTTY })
  },
  'config check': async (io) => (await import('./config.js')).checkConfigCommand(io, process.env, process.cwd()),
  'mail test': async (io, config, [address]) => (await import('./mail.js')).testMailCommand(io, config(), address!),
  'migrate up': async (io, config) => (await import('./migrate.js')).migrateUpCommand(io, config()),
  'migrate down': async (io, config, _args, options) => (await import('./migrate.js')).migrateDownCommand(io, config(), options),
  'migrate status': async (io, config) => (await import('./migrate.js')).migrateStatusCommand(io, config()),
  'user create': async (io, config, [username], options) =>
    (await import('./user/user.js')).createUserCommand(io, config(), username!, options),
  'user list': async (io, config) => (await import('./user/user.js')).listUsersCommand(io, config()),
  'user find': async (io, config, [query]) => (await import('./user/user.js')).findUserCommand(io, config(), query!),
  'user show': async (io, config, [username]) => (await import('./user/user.js')).showUserCommand(io, config(), username!),
  'user events': async (io, config, [username], options) =>
    (await import('./user/user.js')).userEventsCommand(io, config(), username!, options),
  'user password': async (io, config, [username]) => (await import('./user/user.js')).setPasswordCommand(io, config(), username!),
  'user resume-mail': async (io, config, [username], options) =>
    (await import('./user/changes.js')).resumeMailCommand(io, config(), username!, options),
  'user deactivate': async (io, config, [username], options) =>
    (await import('./user/changes.js')).deactivateUserCommand(io, config(), username!, options),
  'user reactivate': async (io, config, [username], options) =>
    (await import('./user/changes.js')).reactivateUserCommand(io, config(), username!, options),
  'user unlock': async (io, config, [username]) => (await import('./user/changes.js')).unlockUserCommand(io, config(), username!),
  'user promote': async (io, config, [username], options) =>
    (await import('./user/changes.js')).promoteUserCommand(io, config(), username!, options),
  'user demote': async (io, config, [username], options) =>
    (await import('./user/changes.js')).demoteUserCommand(io, config(), username!, options),
  'user set': async (io, config, [username], options) =>
    (await import('./user/changes.js')).setReferencesCommand(io, config(), username!, options),
  'sessions list': async (io, config, [username]) => (await import('./sessions.js')).listSessionsCommand(io, config(), username!),
  'sessions end': async (io, config, [username], options) =>
    (await import('./sessions.js')).endSessionsCommand(io, config(), username, options),
  'otp reset': async (io, config, [username], options) => (await import('./otp.js')).resetOtpCommand(io, config(), username!, options),
  'otp status': async (io, config, [username]) => (await import('./otp.js')).otpStatusCommand(io, config(), username!),
  'keys rotate': async (io, config) => (await import('./keys/keys.js')).rotateKeysCommand(io, config()),
  'import django': async (io, config, _args, options) => (await import('./import/django.js'))
    .importDjangoCommand(io, config(), Object.assign({ password: sourcePassword() }, options)),
  'import jsonl': async (io, config, [file], options) => (await import('./import/jsonl.js'))
    .importJsonlCommand(io, config(), file!, options),
  'import keycloak': async (io, config, [file], options) => (await import('./import/keycloak.js'))
    .importKeycloakCommand(io, config(), file, options),
  'import better-auth': async (io, config, _args, options) => (await import('./import/better-auth.js'))
    .importBetterAuthCommand(io, config(), Object.assign({
      password: sourcePassword(), secret: process.env['BETTER_AUTH_SECRET'], secrets: process.env['BETTER_AUTH_SECRETS']
    }, options)),
  'import supabase': async (io, config, _args, options) => (await import('./import/supabase.js'))
    .importSupabaseCommand(io, config(), Object.assign({
      password: sourcePassword(), key: process.env['SUPABASE_DB_ENCRYPTION_KEY']
    }, options)),
  'import undo': async (io, config, [source]) => (await import('./import/undo.js')).undoImportCommand(io, config(), source!),
  'export jsonl': async (io, config, _args, options) => (await import('./export.js')).exportJsonlCommand(io, config(), options)
} satisfies Record<string, ServiceWork>

export type ServiceCommand = keyof typeof works

/**
 * Runs a command with the settings of the environment and of the file `.env`, and prints their warnings on standard error.
 *
 * @returns the exit code
 */
export async function runCommand (name: ServiceCommand, given: Given): Promise<number> {
  const config = () => {
    const { config, notes } = readProcess(process.env, process.cwd())
    for (const { level, text } of notes) if (level === 'warn') console.error(text)
    return config
  }
  const work: ServiceWork = works[name]
  return await runWork(name.split(' ').at(-1)!, (io, args, options) => work(io, config, args, options), given)
}
