import t from 'tap'
import { emailOption, lineOption, reasonOption } from '../../src/commands/options.js'
import { createIo, MisuseError } from '../../src/commands/io.js'
import { createUserCommand } from '../../src/commands/user/user.js'
import { readConfig } from '../../src/config/config.js'

t.test('what is typed here is held to what POST /users holds it to', async (t) => {
  t.equal(lineOption('--phone', '+47 40 00 00 01', 'phone'), '+47 40 00 00 01')
  t.equal(lineOption('--first-name', '😀'.repeat(128), 'firstName').length, 256, 'characters, not halves of them')
  t.equal(emailOption(''), '')
  t.equal(emailOption('ada@example.org'), 'ada@example.org')
  for (const text of ['a\u001b[2J', '1\n2', 'x'.repeat(129)]) {
    t.throws(() => lineOption('--first-name', text, 'firstName'), { name: 'MisuseError', message: /^--first-name must be/ })
  }
  for (const text of ['none', '@', 'a@b@c', 'a b@c', `${'x'.repeat(250)}@b.cd`]) t.throws(() => emailOption(text), MisuseError, text)
})

t.test('a reason says something, on one line', async (t) => {
  t.equal(reasonOption('Lost the phone.'), 'Lost the phone.')
  for (const text of ['', ' ', 'a\nb', 'x'.repeat(501)]) {
    t.throws(() => reasonOption(text), { name: 'MisuseError', message: /^--reason must/ })
  }
})

t.test('a username is one before and after its normal form, or nothing is touched', async (t) => {
  const io = createIo(false, process)
  // The last name is one character that stands for four words.
  for (const name of ['', 'a b', 'x'.repeat(151), 'a\u0007', '\uFDFA']) {
    await t.rejects(createUserCommand(io, readConfig({}), name, {}), { name: 'MisuseError', message: /^A username has/ }, name)
  }
})
