#!/usr/bin/env bash
# Fact: nodemailer's error.permanent looks at the first digit of the server's reply alone: it is true for a refused password and for a
#   relay that offers no STARTTLS to requireTLS, as for an address that does not exist.
# Version: nodemailer 10.6.1 against smtp-server 3.21.6.
# One would have guessed: permanent means that this mail can never be delivered, so that a queue may drop it.
# Why it matters: a queue that drops permanent failures throws away all mail (codes, alarms about a new device) while a relay's password
#   or certificate is being changed. Drop on 5yz of RCPT TO and DATA only.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact nodemailer@10.6.1 smtp-server@3.21.6
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import nodemailer from 'nodemailer'
import { SMTPServer } from 'smtp-server'

const attempt = async (serverOptions, transportOptions) => {
  const smtp = new SMTPServer({ authOptional: true, disabledCommands: ['STARTTLS'], ...serverOptions })
  const server = await new Promise(resolve => { const listening = smtp.listen(0, '127.0.0.1', () => resolve(listening)) })
  const transport = nodemailer.createTransport({ host: '127.0.0.1', port: server.address().port, ...transportOptions })
  const error = await transport.sendMail({ from: 'a@example.test', to: 'b@example.test', text: 'x' }).then(() => ({}), caught => caught)
  await new Promise(resolve => smtp.close(resolve))
  const { code, responseCode, command, permanent } = error
  return { code, responseCode, command, permanent }
}
const refuse = responseCode => (address, session, callback) => callback(Object.assign(new Error('refused'), { responseCode }))
const seen = {
  noSuchAddress: await attempt({ onRcptTo: refuse(550) }),
  comeLater: await attempt({ onRcptTo: refuse(451) }),
  passwordRefused: await attempt({ onAuth: (auth, session, callback) => callback(new Error('no')) }, { auth: { user: 'u', pass: 'p' } }),
  noStartTls: await attempt({}, { requireTLS: true })
}
console.log(seen)
assert.deepEqual(seen, {
  noSuchAddress: { code: 'EENVELOPE', responseCode: 550, command: 'RCPT TO', permanent: true },
  comeLater: { code: 'EENVELOPE', responseCode: 451, command: 'RCPT TO', permanent: false },
  passwordRefused: { code: 'EAUTH', responseCode: 535, command: 'AUTH PLAIN', permanent: true },
  noStartTls: { code: 'ETLS', responseCode: 500, command: 'STARTTLS', permanent: true }
})
JS
node probe.mjs
