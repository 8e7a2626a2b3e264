import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createMailSender, type MailSenderOptions } from '../../../src/events/mail/sender.js'
import type { Owner } from '../../helpers/teardown.js'
import { mailServer } from '../../helpers/mail-server.js'

const from = { name: 'Countersign', address: 'countersign@example.org' }
const mail = { to: { name: '', address: 'ada@example.org' }, subject: 'Héllo', text: 'Ünïcode\n', id: 'one' }

async function sender (t: Owner, options: Partial<MailSenderOptions> & { url: string }) {
  const made = await createMailSender({ from, ...options })
  t.teardown(() => { made.close() })
  return made
}

t.test('a message arrives as text, with the headers of an automatic one', async (t) => {
  const server = await mailServer(t)
  const { send } = await sender(t, { url: server.url })
  t.same(await send(mail), { outcome: 'sent' })
  const [received] = server.received
  t.match(received, { from: from.address, to: [mail.to.address], subject: mail.subject, text: mail.text })
  t.match(received!.headers, {
    'auto-submitted': 'auto-generated', 'message-id': '<one@example.org>', 'content-transfer-encoding': 'quoted-printable'
  })
})

t.test('text of users makes no header and no further recipient', async (t) => {
  const server = await mailServer(t)
  const { send } = await sender(t, { url: server.url })
  t.match(await send({ ...mail, subject: 'a\r\nBcc: eve@example.org' }), { outcome: 'sent' })
  t.same(server.received[0]!.to, [mail.to.address])
  t.equal(server.received[0]!.headers['bcc'], undefined)
  for (const address of ['a@b.c,eve@example.org', 'a b@example.org', 'a@b.c\r\nX: y', '<a@b.c>', 'é@example.org', '"a"@example.org']) {
    t.match(await send({ ...mail, to: { name: '', address } }), { outcome: 'refused' }, JSON.stringify(address))
  }
  t.equal(server.received.length, 1)
})

t.test('only 5.1.x for the recipient is for good', async (t) => {
  const server = await mailServer(t)
  const { send } = await sender(t, { url: server.url })
  const cases: Array<[keyof typeof server.replies, string, 'refused' | 'failed']> = [
    ['rcpt', '550 5.1.1 no such user', 'refused'], ['rcpt', '550 5.7.1 relaying denied', 'failed'],
    ['rcpt', '450 4.2.0 greylisted', 'failed'],
    ['rcpt', '550 Invalid recipient', 'failed'], ['from', '550 5.1.8 bad sender', 'failed'], ['data', '552 5.2.2 mailbox full', 'failed'],
    ['data', '550 5.1.1 no such user', 'refused']
  ]
  for (const [step, reply, outcome] of cases) {
    for (const other of ['rcpt', 'from', 'data'] as const) delete server.replies[other]
    server.replies[step] = reply
    const result = await send(mail)
    t.match(result, { outcome }, `${step} ${reply}`)
    t.notMatch(JSON.stringify(result), 'ada@', 'the reason holds no address')
  }
})

t.test('over a network, a server without STARTTLS gets no mail; one that asks for no password gets none either', async (t) => {
  const server = await mailServer(t)
  const port = new URL(server.url).port
  const tls = await sender(t, { url: `smtp://127.0.0.1.nip.invalid:${port}`, requiresTls: true })
  t.match(await tls.send(mail), { outcome: 'failed' })
  const login = await sender(t, { url: `smtp://user:secret@127.0.0.1:${port}` })
  t.match(await login.send(mail), { outcome: 'failed' })
  t.equal(server.received.length, 0)
})

/** Starts a server that takes connections and never says a word. */
async function silentServer (t: Owner): Promise<{ url: string, connection: Promise<unknown> }> {
  const sockets: Socket[] = []
  const silent = createServer((socket) => { sockets.push(socket) }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => { sockets.forEach((socket) => socket.destroy()); silent.close() })
  return { url: `smtp://127.0.0.1:${(silent.address() as AddressInfo).port}`, connection: once(silent, 'connection') }
}

t.test('a server that never answers holds a mail no longer than its time', async (t) => {
  const { send } = await sender(t, { url: (await silentServer(t)).url, timeoutMs: 300 })
  t.match(await send(mail), { outcome: 'failed' })
})

t.test('close breaks a mail off that waits for the server', async (t) => {
  const { url, connection } = await silentServer(t)
  const { send, close } = await sender(t, { url, timeoutMs: 60_000 })
  const sending = send(mail)
  await connection
  const startedAtMs = performance.now()
  close()
  t.match(await sending, { outcome: 'failed' })
  t.ok(performance.now() - startedAtMs < 2_000, 'at once')
  t.match(await send(mail), { outcome: 'failed' }, 'and none is sent afterwards')
})
