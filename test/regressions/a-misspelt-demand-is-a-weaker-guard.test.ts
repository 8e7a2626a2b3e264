/** `/session?maxage=1` demanded nothing, and let in a session that `?maxAge=1` refuses. */
import t from 'tap'
import type { InjectOptions } from 'fastify'
import { freshApp } from '../helpers/app.js'
import { faultsOfRefusal } from '../helpers/error-shape.js'
import { expect, signUp, type Person } from '../helpers/person.js'

const { app, clock } = await freshApp(t)
const owner = await (await signUp(app, 'owner')).enrol()
const optional = await signUp(app, 'optional')
expect(200, await optional.login())
await clock.advance(60)

const METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS', 'DELETE'] as const
const ask = async (who: Person, url: string, method: InjectOptions['method'] = 'GET') =>
  await app.inject({ method, url, headers: { authorization: `Bearer ${who.access}` } })

/** Queries with an unknown, misspelt or repeated parameter. */
const MISSPELT = [
  'maxage=1', 'MAXAGE=1', 'max_age=1', 'max-age=1', 'maxAge[]=1', 'maxAge[0]=1', 'maxAge%5B%5D=1', '%4DaxAge=1', 'maxAge%20=1',
  '+maxAge=1', 'maxAge%00=1', 'ma%2578Age=1', 'age=1',
  'Required', 'REQUIRED=true', 'require', 'required[]=1', 'requıred', 'required%20', '%52equired', 'required;maxAge=1',
  'phishingresistant', 'page=2', '__proto__=1', 'constructor', '=',
  'required&required', 'required=true&required=true', 'maxAge=1&maxAge=1', 'maxAge=9999&maxage=1', 'required&Required', 'required&page=2'
]

t.test('on /session every parameter that is not a demand is refused, for any method and spelling of the path', async (t) => {
  for (const query of MISSPELT) {
    const answer = await ask(owner, `/session?${query}`)
    t.equal(answer.statusCode, 400, query)
    t.same(faultsOfRefusal(answer), [], query)
    t.equal(answer.headers['x-refusal'], 'REQUEST_INVALID', query)
  }
  for (const method of METHODS) t.equal((await ask(owner, '/session?maxage=9999', method)).statusCode, 400, method)
  for (const path of ['/sess%69on', 'http://x/session', '/%73ession']) t.equal((await ask(owner, `${path}?require`)).statusCode, 400, path)
  for (const query of ['', 'required', 'required=', 'required=true', 'maxAge=9999', 'max%41ge=9999', 'required&maxAge=9999', '&&']) {
    t.equal((await ask(owner, `/session?${query}`)).statusCode, 200, query)
  }
})

t.test('below /session the client can only add demands: unknown names pass, known ones in any case are demands', async (t) => {
  for (const path of ['/session/', '/session/x', '/session//', 'http://x/session/']) {
    for (const query of ['page=2', 'require', 'required[]=1', 'max-age=1', 'maxAge[]=1', '__proto__=1', 'a=1&a=2', 'phishing=1']) {
      t.equal((await ask(optional, `${path}?${query}`)).statusCode, 200, `${path} ${query}`)
    }
    for (const query of [
      'Required', 'REQUIRED=false', '%72EQUIRED', 'page=2&required', 'required&required', 'Required=&required=',
      'required=&maxage=9999'
    ]) {
      t.match((await ask(optional, `${path}?${query}`)).json(), { statusCode: 403, code: 'OTP_REQUIRED' }, `${path} ${query}`)
    }
    for (const query of [
      'maxage=1', 'MaxAge=1', 'MAXAGE=9999&maxAge=1', 'maxAge=9999&maxAge=1&maxAge=300', 'maxAge=1&maxAge=9999', '%4daxAge=1&x=1'
    ]) {
      t.match((await ask(owner, `${path}?${query}`)).json(), { statusCode: 403, code: 'OTP_STALE', maxAgeSeconds: 1 }, `${path} ${query}`)
    }
    for (const query of [
      'maxage=x', 'maxAge=1&MAXAGE=', 'maxage=-1'
    ]) {
      t.equal((await ask(owner, `${path}?${query}`)).statusCode, 400, `${path} ${query}`)
    }
  }
  for (const method of METHODS) t.equal((await ask(optional, '/session/x?REQUIRED', method)).statusCode, 403, method)
})
