import { createRequire } from 'node:module'

/** Version of the package that this module is part of: `countersign`, or `countersign-service` with the same version. */
export const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
