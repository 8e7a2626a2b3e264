import { need } from './need.js'

/** For the files in test/attached: from here on `freshApp` gives a host, which has a PostgreSQL of its own. */
await need('postgres')
process.env['COUNTERSIGN_TEST_ATTACHED'] = '1'
