/**
 * The host of the tests (test/helpers/host-app.ts) in a process of its own, with users of its own. Prints its address as the service does.
 * Settings: DATABASE_URL, REDIS_URL, SEAL_KEYS, ORIGIN.
 */
import { buildHost } from '../../helpers/host-app.js'

const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, SEAL_KEYS: sealKeys, ORIGIN: origin } = process.env
const app = await buildHost({ teardown: () => {} }, {
  databaseUrl: databaseUrl!,
  redisUrl,
  options: {
    issuer: 'Acme', sealKeys: sealKeys!, namespace: 'histories_host', passkeys: { origins: [origin!], rpId: new URL(origin!).hostname }
  }
})
console.log(`Server listening at ${await app.listen({ port: 0, host: '127.0.0.1' })}`)
