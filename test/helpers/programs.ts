import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Debian has the programs of PostgreSQL in one folder per version. */
const DEBIAN_POSTGRES = '/usr/lib/postgresql'

/** Returns the path of a program. Also searches folders of administrators and of PostgreSQL, which are often not in PATH. */
export function findProgram (name: string): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', ...postgresFolders()]
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

function isExecutable (path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The newest first. */
function postgresFolders (): string[] {
  try {
    return readdirSync(DEBIAN_POSTGRES).sort((a, b) => Number(b) - Number(a)).map((version) => join(DEBIAN_POSTGRES, version, 'bin'))
  } catch {
    return []
  }
}
