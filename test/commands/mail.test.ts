import t from 'tap'
import { testMailCommand } from '../../src/commands/mail.js'
import { readConfig } from '../../src/config/config.js'
import { worked } from '../helpers/command.js'
import { mailSettings } from '../helpers/app.js'
import { mailServer } from '../helpers/mail-server.js'

t.test('mail test sends one message; a server that refuses it, no server and no settings are failures', async (t) => {
  const server = await mailServer(t)
  const config = readConfig({ ...mailSettings, MAIL_URL: server.url })
  const ran = await worked((io) => testMailCommand(io, config, 'ada@example.org'), '', true)
  t.match(JSON.parse(ran.stdout), { sent: true })
  t.same(server.received.map(({ to }) => to), [['ada@example.org']])
  server.replies.rcpt = '550 5.1.1 no such user'
  await t.rejects(worked((io) => testMailCommand(io, config, 'ada@example.org')), { name: 'CommandError' })
  await t.rejects(worked((io) => testMailCommand(io, readConfig(mailSettings), 'ada@example.org')), { name: 'CommandError' })
  await t.rejects(worked((io) => testMailCommand(io, readConfig({}), 'ada@example.org')), { name: 'CommandError' })
  await t.rejects(worked((io) => testMailCommand(io, config, 'ada@example.org, eve@example.org')), { message: /./ })
})
