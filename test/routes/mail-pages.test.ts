import t from 'tap'
import { freshApp } from '../helpers/app.js'

const { app } = await freshApp(t, { UNDO_EMAIL_CHANGE_PATH: '/own/undo' })

t.test('the pages of links are plain, strict and change nothing; a path of the operator has none of ours', async (t) => {
  for (const path of ['/verify-email', '/reset-password']) {
    const answer = await app.inject(path)
    t.equal(answer.statusCode, 200)
    t.match(answer.headers['content-security-policy'], /default-src 'none'/)
    t.equal(answer.headers['referrer-policy'], 'no-referrer')
    t.notMatch(answer.body, /<script>|<style>|https?:/, 'nothing inline, nothing from elsewhere')
  }
  t.equal((await app.inject('/mail-page.js')).statusCode, 200)
  t.equal((await app.inject('/undo-email-change')).statusCode, 404)
  t.equal((await app.inject('/own/undo')).statusCode, 404)
})
