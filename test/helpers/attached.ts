import { need } from './need.js'

/** For the files in test/attached: after this import, `freshApp` returns a host. A host needs a real PostgreSQL. */
await need('postgres')
process.env['COUNTERSIGN_TEST_ATTACHED'] = '1'
