/** A misspelt demand must never give the plain guard, neither over HTTP nor in the process. */
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { expect, signUp } from '../helpers/person.js'

const { app } = await freshApp(t)
const optional = await signUp(app, 'optional')
expect(200, await optional.login())

/** Returns edits of a word, without the word itself. */
function edits (word: string): string[] {
  const middle = Math.floor(word.length / 2)
  return [
    word.toUpperCase(), word[0]!.toUpperCase() + word.slice(1), word.slice(1), word.slice(0, -1),
    `${word}s`, `${word}[]`, `${word}%00`, ` ${word}`,
    word.slice(0, middle) + word.slice(middle + 1), `${word.slice(0, middle)}_${word.slice(middle)}`, `x-${word}`, `${word}=&${word}`
  ]
}

const ask = async (path: string) => await app.inject({ url: path, headers: { authorization: `Bearer ${optional.access}` } })

t.test('each query of /session is a demand or is refused', async (t) => {
  t.equal((await ask('/session')).statusCode, 200, 'the plain guard lets this session in')
  for (const word of ['required', 'maxAge', 'phishingResistant']) {
    for (const name of edits(word)) {
      for (const query of [name, `${name}=1`, `maxAge=300&${name}=1`]) {
        t.equal((await ask(`/session?${encodeURI(query).replaceAll('%25', '%')}`)).statusCode, 400, query)
      }
    }
  }
})

t.test('below /session a client can only add demands', async (t) => {
  for (const query of ['required', 'REQUIRED=false', 'rEqUiReD=0', '%52equired', 'page=1&required&required=']) {
    t.equal((await ask(`/session/invoices?${query}`)).statusCode, 403, query)
  }
  for (const query of ['page=1', 'maxAge=300', 'MAXAGE=300&maxage=400', 'require=1']) {
    t.equal((await ask(`/session/invoices?${query}`)).statusCode, 200, query)
  }
})

t.test('in the process a misspelt demand throws', async (t) => {
  for (const word of ['required', 'maxAge']) {
    for (const name of edits(word)) t.throws(() => app.otpVerified({ [name]: word === 'maxAge' ? 300 : true }), { name: 'TypeError' }, name)
  }
})
