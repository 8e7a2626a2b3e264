import type { Config } from '../config/config.js'
import { exportPeople } from '../imports/exporter.js'
import { createLineSealer } from '../imports/jsonl/sealed.js'
import { withContext } from './context.js'
import { MisuseError, printable, type Io } from './io.js'
import { readKeyFile } from './keys/key-file.js'
import { reasonOption } from './options.js'
import { requireUser } from './user/user.js'

export interface ExportCommandOptions { user?: string, withSecrets?: boolean, keyFile?: string, reason?: string }

/** Exit code of an export from which rows are missing. Standard error names them. */
const INCOMPLETE = 3
/** Exit code of an export that stopped half-way. */
const STOPPED = 1

/** Writes users as JSON lines to standard output. Secrets leave only sealed under a key file, with a reason. */
export async function exportJsonlCommand (
  io: Io, config: Config, { user, withSecrets = false, keyFile, reason: typed }: ExportCommandOptions
): Promise<number> {
  if (withSecrets && keyFile === undefined) {
    throw new MisuseError('--with-secrets needs --key-file: secrets are never written in plain text.')
  }
  if (withSecrets && typed === undefined) throw new MisuseError('--with-secrets needs --reason: each user reads it in the log.')
  if (!withSecrets && keyFile !== undefined) throw new MisuseError('--key-file is for --with-secrets.')
  const reason = reasonOption(typed ?? 'by the operator')
  const key = keyFile === undefined ? null : await readKeyFile(keyFile)
  return await withContext(config, async (context) => {
    const { db, digestKey } = context
    const userIds = user === undefined ? null : [(await requireUser(context, user)).id]
    const sealer = key === null ? null : createLineSealer(key)
    if (sealer !== null) await io.write(`${sealer.header}\n`)
    let faults = 0
    for await (const people of exportPeople({ db, seal: context.seal, digestKey, userIds, withSecrets, reason })) {
      for (const { record, username, faults: reasons } of people) {
        const line = JSON.stringify(record)
        await io.write(`${sealer === null ? line : sealer.line(line)}\n`)
        for (const fault of reasons) io.warn(`${printable(username)}: ${fault}`)
        faults += reasons.length
      }
      // The events of further users would say that their data have left.
      if (!io.isRead()) {
        io.warn('The export is not complete: standard output was closed.')
        return STOPPED
      }
    }
    if (sealer !== null) await io.write(`${sealer.end()}\n`)
    return faults === 0 ? 0 : INCOMPLETE
  })
}
