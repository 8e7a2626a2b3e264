import t from 'tap'
import { texts } from '../../src/core/messages/mail-pages/index.js'
import { languages } from '../../src/core/notices/texts.js'
import { freshApp } from '../helpers/app.js'

const { app } = await freshApp(t, { UNDO_EMAIL_CHANGE_PATH: '/own/undo' })

t.test('the pages of links are plain, strict and change nothing; a path of the operator has none of ours', async (t) => {
  for (const path of ['/verify-email', '/reset-password']) {
    const answer = await app.inject(path)
    t.equal(answer.statusCode, 200)
    t.match(answer.headers['content-security-policy'], /default-src 'none'/)
    t.equal(answer.headers['referrer-policy'], 'no-referrer')
    t.notMatch(answer.body, /<script>|<style>|https?:/, 'nothing inline, nothing from elsewhere')
    t.equal(answer.headers['content-security-policy'], (await app.inject('/')).headers['content-security-policy'], 'as the other pages')
  }
  t.equal((await app.inject('/mail-page.js')).statusCode, 200)
  t.equal((await app.inject('/undo-email-change')).statusCode, 404)
  t.equal((await app.inject('/own/undo')).statusCode, 404)
})

t.test('they are in the language of the visitor', async (t) => {
  for (const language of languages) {
    const answer = await app.inject({ url: '/reset-password', headers: { 'accept-language': `nl, ${language}-XX;q=0.5` } })
    t.match(answer.body, `<html lang="${language}">`)
    for (const text of Object.values(texts[language].reset_password)) t.match(answer.body, text)
    t.equal(answer.headers.vary, 'accept-language')
  }
  t.match((await app.inject('/reset-password')).body, '<html lang="en">')
})

t.test('addresses are relative to the service, with a slash at the end too', async (t) => {
  for (const [path, root] of [['/verify-email', './'], ['/verify-email/', '../'], ['/reset-password/?x', '../']] as const) {
    const found = [...(await app.inject(path)).body.matchAll(/(?:src|href|data-action)="([^"]+)"/g)].map(([, url]) => url!)
    t.equal(found.length, 3)
    for (const url of found) t.equal(new URL(url, `http://localhost${path}`).pathname, `/${url.slice(root.length)}`, `${path}: ${url}`)
  }
})
