/** A demand that is not spelled as it is must never be the plain guard: over HTTP and in the process. */
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { expect, signUp } from '../helpers/person.js'

const { app } = await freshApp(t)
const optional = await signUp(app, 'optional')
expect(200, await optional.login())

/** Edits of a word, none of which is the word. */
function edits (word: string): string[] {
  const middle = Math.floor(word.length / 2)
  return [
    word.toUpperCase(), word[0]!.toUpperCase() + word.slice(1), word.slice(1), word.slice(0, -1),
    `${word}s`, `${word}[]`, `${word}%00`, ` ${word}`,
    word.slice(0, middle) + word.slice(middle + 1), `${word.slice(0, middle)}_${word.slice(middle)}`, `x-${word}`, `${word}=&${word}`
  ]
}

const ask = async (path: string) => await app.inject({ url: path, headers: { authorization: `Bearer ${optional.access}` } })

t.test('whatever stands in the query of /session, it is a demand or a refusal', async (t) => {
  t.equal((await ask('/session')).statusCode, 200, 'the plain guard lets this session in')
  for (const word of ['required', 'maxAge', 'phishingResistant']) {
    for (const name of edits(word)) {
      for (const query of [name, `${name}=1`, `maxAge=300&${name}=1`]) {
        t.equal((await ask(`/session?${encodeURI(query).replaceAll('%25', '%')}`)).statusCode, 400, query)
      }
    }
  }
})

t.test('below it a client can add nothing but strictness', async (t) => {
  for (const query of ['required', 'REQUIRED=false', 'rEqUiReD=0', '%52equired', 'page=1&required&required=']) {
    t.equal((await ask(`/session/invoices?${query}`)).statusCode, 403, query)
  }
  for (const query of ['page=1', 'maxAge=300', 'MAXAGE=300&maxage=400', 'require=1']) {
    t.equal((await ask(`/session/invoices?${query}`)).statusCode, 200, query)
  }
})

t.test('in the process the route is not made', async (t) => {
  for (const word of ['required', 'maxAge']) {
    for (const name of edits(word)) t.throws(() => app.otpVerified({ [name]: word === 'maxAge' ? 300 : true }), { name: 'TypeError' }, name)
  }
})
