import type { Config } from '../../config/config.js'
import { undoImport } from '../../imports/undo.js'
import { withContext } from '../context.js'
import { CommandError, printable, type Io } from '../io.js'

/** Deletes every account that came from a source, while nobody of them has logged in. */
export async function undoImportCommand (io: Io, config: Config, source: string): Promise<void> {
  await withContext(config, async ({ db }) => {
    const result = await undoImport({ ...db, destinations: [] }, source, config.eventsDays)
    if ('used' in result) {
      const { used } = result
      throw new CommandError(
        `${used} of its users have logged in, were changed here, or came more than EVENTS_DAYS ago: nothing was taken back.`
      )
    }
    if (result.deleted === 0) throw new CommandError(`No user came from ${printable(source)}: nothing was taken back.`)
    io.print({ source, deleted: result.deleted }, [`Took back ${result.deleted} users from ${printable(source)}.`])
  })
}
