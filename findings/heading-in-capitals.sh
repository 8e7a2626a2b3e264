#!/usr/bin/env bash
# Fact: html-to-text writes headings (h1 to h6) in capitals. mailparser and nodemailer-html-to-text make the plain text of an HTML mail by
#   it: a code, or an address as the text of a heading, is another one there, if capitals and small letters differ in it.
# Version: html-to-text 10.0.1 under mailparser 3.14.2, and 7.1.1 under nodemailer-html-to-text 3.2.0 (nodemailer 10.6.1).
# One would have guessed: the same characters, since the plain part is the one for machines, for screen readers, and for copying.
# Why it matters: templates of mails with a code have it as a heading. Readers of the plain part get a set-up code that is refused, and
#   a test that takes it from mail.text fails where the mail is right. Digits, and an href in brackets, stay: most tests do not show it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  html-to-text@10.0.1 mailparser@3.14.2 nodemailer-html-to-text@3.2.0 nodemailer@10.6.1
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { convert } from 'html-to-text'
import { simpleParser } from 'mailparser'
import { createTransport } from 'nodemailer'
import { htmlToText } from 'nodemailer-html-to-text'

const html = '<h1>k7Qm-x2Pd</h1><h2><a href="https://example.test/?t=aB3x">Log in</a></h2><p>Or type k7Qm-x2Pd.</p>'
const from = 'acme@example.test'
const transport = createTransport({ streamTransport: true, buffer: true })
transport.use('compile', htmlToText())
const sent = await transport.sendMail({ from, to: 'ann@example.test', subject: 'Code', html })
const lines = text => text.split('\n').filter(line => line !== '')
const seen = {
  'html-to-text': lines(convert(html)),
  'mailparser, a mail of HTML alone': lines((await simpleParser(`From: ${from}\nContent-Type: text/html\n\n${html}`)).text),
  'nodemailer-html-to-text': lines((await simpleParser(sent.message)).text)
}
console.log(seen)
const recorded = ['K7QM-X2PD', 'LOG IN [https://example.test/?t=aB3x]', 'Or type k7Qm-x2Pd.']
for (const text of Object.values(seen)) assert.deepEqual(text, recorded)
JS
node --no-deprecation probe.mjs
