import type { Person } from './person.js'
import { expect } from './person.js'
import type { MailServer, ReceivedMail } from './mail-server.js'
import { until } from './wait.js'

/** Returns the next mail to an address that a test has not taken yet. */
export async function nextMail (server: MailServer, to: string): Promise<ReceivedMail> {
  return await until(`a mail to ${to}`, () => {
    const index = server.received.findIndex((mail) => mail.to.includes(to))
    return index < 0 ? null : server.received.splice(index, 1)[0]
  })
}

/** Verifies the address of a person by the link that is mailed. */
export async function verifyAddress (server: MailServer, person: Person, email: string): Promise<void> {
  expect(202, await person.request('POST', '/account/email/verify'))
  const { token } = await nextMail(server, email)
  expect(204, await person.request('POST', '/account/email/confirm', { token: token! }, null))
}
