import type { Config } from '../../config/config.js'
import { openJsonl } from '../../imports/jsonl/source.js'
import { importCommand, type ImportOptions } from './import.js'
import type { Io } from '../io.js'
import { readKeyFile } from '../keys/key-file.js'

export interface JsonlOptions extends Omit<ImportOptions, 'since'> { keyFile?: string }

/** @param file path, or `-` for standard input */
export async function importJsonlCommand (io: Io, config: Config, file: string, { keyFile, ...options }: JsonlOptions): Promise<number> {
  const key = keyFile === undefined ? null : await readKeyFile(keyFile)
  return await importCommand(io, config, options, () => openJsonl(file, key, io.input()))
}
