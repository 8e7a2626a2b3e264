import t from 'tap'
import { newName, soughtName, trimmedName, typedCode, typedSymbols } from '../../src/core/normal-forms.js'

const digits = (zero: number) => Array.from({ length: 10 }, (_, i) => String.fromCodePoint(zero + i)).join('')

t.test('digits of any script count by their value', async (t) => {
  const zeros = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0E50, 0x0F20, 0x1040, 0x17E0, 0x1810, 0xA9D0, 0xFF10, 0x104A0, 0x11066, 0x1E140, 0x1E950
  ]
  for (const zero of zeros) t.equal(typedSymbols(digits(zero)), '0123456789', zero.toString(16))
  for (let zero = 0x1D7CE; zero <= 0x1D7FF; zero += 10) t.equal(typedSymbols(digits(zero)), '0123456789', 'five runs side by side')
  let wrong = 0
  for (let point = 0; point < 0x110000; point++) {
    const text = point >= 0xD800 && point < 0xE000 ? '' : String.fromCodePoint(point)
    if (/\p{Nd}/u.test(text) && !/^[0-9]$/.test(typedSymbols(text))) wrong++
  }
  t.equal(wrong, 0, 'each decimal digit that Unicode has')
})

t.test('every dash, white space and format character is dropped, in any number and place', async (t) => {
  let kept = 0
  for (let point = 0; point < 0x110000; point++) {
    const text = point >= 0xD800 && point < 0xE000 ? '' : String.fromCodePoint(point)
    if (/[\p{Dash}\p{Pd}\p{White_Space}\p{Cf}]/u.test(text) && typedSymbols(`1${text}2`) !== '12') kept++
  }
  t.equal(kept, 0)
  const separators = [
    '\u2060', '\u00AD', '\uFEFF', '\u200B', '\u180E', '\u3164', '\u115F', '\uFE0F', '\u30FC', '\u202E', '\u3000', '\u0085', '\r\n\t'
  ]
  for (const text of separators) {
    t.equal(typedSymbols(`${text}1${text}${text}2${text}`), '12', JSON.stringify(text))
  }
  for (const text of ['+', '.', ',', '/', '_', '\0', 'x', '\uD800', '1\u20E3', '\u00BD']) {
    t.not(typedSymbols(`1${text}2`), '12', JSON.stringify(text))
  }
})

t.test('a full stop is dropped at the end of a code alone', async (t) => {
  for (const end of ['.', '. ', '\uFF0E', '\u3002', '\uFF61', '\u0964', '\u06D4', '\u2026']) {
    t.equal(typedCode(`AB${end}`), 'AB', JSON.stringify(end))
  }
  t.equal(typedCode('.A.B'), '.A.B')
  t.equal(typedSymbols('12.'), '12.')
})

t.test('names are composed, and trimmed at their ends alone', async (t) => {
  t.equal(trimmedName(' \u00A0\u3000Nguye\u0302\u0303n \t\r\n\u2028'), 'Nguyễn')
  t.equal(trimmedName('ａｄａ  lovelace'), 'ada  lovelace')
  t.equal(trimmedName('\u200Bada'), '\u200Bada', 'a format character is no white space')
  t.equal(soughtName('\u200Bada', 10), '\u200Bada', 'and an old name may have one')
})

t.test('no new name has what cannot be seen, but for what emoji and scripts are written with', async (t) => {
  let allowed = 0
  for (let point = 0; point < 0x110000; point++) {
    const text = point >= 0xD800 && point < 0xE000 ? '' : String.fromCodePoint(point)
    if (/\p{Default_Ignorable_Code_Point}/u.test(text) && newName(`a${text}b`, 10) !== null) allowed++
  }
  t.equal(allowed, 4)
  for (const name of ['Old ❤️ phone', '👩‍💻', 'می‌خواهم', 'ａ'.repeat(10)]) t.equal(newName(name, 20), name.normalize('NFKC'), name)
  for (const name of ['', ' ', '\u200D', '\uFE0F\u200C', 'a\nb', 'a\0b', 'a\uD800b', '\u3164', 'x'.repeat(21), '\uFDFA'.repeat(2)]) {
    t.equal(newName(name, 20), null, JSON.stringify(name))
  }
})

t.test('the limits hold for the normal form, and a long text costs no time', async (t) => {
  t.equal(soughtName('e\u0302\u0303'.repeat(150), 150), 'ễ'.repeat(150))
  t.equal(soughtName('e\u0302\u0303'.repeat(151), 150), null)
  const began = performance.now()
  const [spaces, dots] = [' '.repeat(16_000), '.'.repeat(16_000)]
  for (const text of [spaces, `${spaces}x`, dots, `${dots}x`, '\uFDFA'.repeat(900), '\u{1D7CE}'.repeat(4_000)]) {
    typedCode(text)
    newName(text, 64)
  }
  t.ok(performance.now() - began < 2_000)
})

t.test('white space and full stops inside a text cost no more than other characters', async (t) => {
  // In the square of this number, they would take a minute.
  const count = 300_000
  const before = process.cpuUsage()
  typedCode(`x${'.'.repeat(count)}x`)
  trimmedName(`x${' '.repeat(count)}x`)
  t.ok(process.cpuUsage(before).user < 5_000_000)
})
