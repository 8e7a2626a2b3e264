import type { Config } from '../../config/config.js'
import { openKeycloak } from '../../imports/keycloak/source.js'
import { importCommand, type ImportOptions } from './import.js'
import { MisuseError, type Io } from '../io.js'

/** @param file export of a realm; undefined with `--dir` */
export async function importKeycloakCommand (
  io: Io, config: Config, file: string | undefined, { dir, ...options }: ImportOptions & { dir?: string }
): Promise<number> {
  if ((file === undefined) === (dir === undefined)) throw new MisuseError('Give the file of a realm, or its folder by --dir.')
  return await importCommand(io, config, options, () => openKeycloak({ file, dir }))
}
