import { insideOf } from '../../src/attach/inside.js'
import { importPeople, type ImportOptions } from '../../src/imports/importer.js'
import type { Note, Source } from '../../src/imports/person.js'
import type { ImportReport } from '../../src/imports/report.js'
import type { App } from './app.js'

export interface Imported { report: ImportReport, notes: Note[] }

/** Imports a source into the database of an app, with its keys, and closes the source. */
export async function importInto (app: App, source: Source, options: Partial<ImportOptions> = {}): Promise<Imported> {
  const notes: Note[] = []
  try {
    const report = await importPeople({
      db: app.database,
      source,
      seal: insideOf(app).seal,
      digestKey: await insideOf(app).digestKey(),
      window: 1,
      since: null,
      isRehearsal: false,
      onNote: (note) => { notes.push(note) },
      onProgress: () => {},
      ...options
    })
    return { report, notes }
  } finally {
    await source.close()
  }
}
