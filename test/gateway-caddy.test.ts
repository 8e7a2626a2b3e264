/** docs/gateway.md, Caddy: this test runs the block of the page. */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { startCaddy } from './helpers/caddy.js'
import { blocksAfter } from './helpers/doc-blocks.js'
import { freePort } from './helpers/free-port.js'
import { behindGateway, checkIdentity, checkPreflights, checkRefusals } from './helpers/gateway.js'
import { call } from './helpers/http-client.js'
import { need } from './helpers/need.js'
import type { Owner } from './helpers/teardown.js'

const caddy = await need('caddy')
const [block = ''] = blocksAfter(await readFile('docs/gateway.md', 'utf8'), 'caddy')

/**
 * The directives into which `forward_auth` expands in 2.10 and 2.11.1: an empty header of ours is not copied, and the client's
 * header stays.
 */
function asInLaterReleases (site: string): string {
  const [, indent = '', backEnd = '', body = ''] = /^([ \t]*)forward_auth (\S+) \{\n([^}]*)\}/m.exec(site)!
  const [, uri = ''] = /uri (\S+)/.exec(body)!
  const [, names = ''] = /copy_headers (.*)/.exec(body)!
  const copies = names.split(' ').flatMap((name, i) => {
    const value = `{http.reverse_proxy.header.${name}}`
    return [`@copied${i} not vars ${value} ""`, `request_header @copied${i} ${name} ${value}`]
  })
  const forwarded = ['header_up X-Forwarded-Method {method}', 'header_up X-Forwarded-Uri {uri}']
  const steps = ['method GET', `rewrite ${uri}`, ...forwarded, '@good status 2xx', 'handle_response @good {', ...copies, '}']
  return site.replace(/^[ \t]*forward_auth [^}]*\}/m, `${indent}reverse_proxy ${backEnd} {\n${steps.join('\n')}\n}`)
}

const behind = await behindGateway(t)
const { backEnd, countersign, owner, optional } = behind

/** Starts the page's Caddy before the back end. @returns its port */
async function gateway (t: Owner, site: string, guard: number): Promise<number> {
  const port = await freePort()
  const text = site.replace(':80 {', `:${port} {\n\tbind 127.0.0.1`)
    .replace('127.0.0.1:3000', `127.0.0.1:${guard}`)
    .replace('127.0.0.1:8000', `127.0.0.1:${backEnd.port}`)
  await startCaddy(t, caddy, text, port)
  return port
}

for (const [release, site] of [['as it stands', block], ['with the steps of later releases', asInLaterReleases(block)]] as const) {
  t.test(`the back end learns of the user from us alone: ${release}`, async (t) => {
    await checkIdentity(t, behind, await gateway(t, site, countersign))
  })

  t.test(`a refusal comes out as it is, and nothing reaches the back end: ${release}`, async (t) => {
    const reached = backEnd.seen.length
    await checkRefusals(t, behind, await gateway(t, site, countersign))
    const nothing = `http://127.0.0.1:${await gateway(t, site, await freePort())}`
    t.equal((await call(nothing, 'GET', '/', { access: owner.access })).status, 502, 'Countersign out of reach')
    t.equal(backEnd.seen.length, reached)
  })

  t.test(`a forged preflight opens nothing: ${release}`, async (t) => {
    await checkPreflights(t, behind, await gateway(t, site, countersign))
  })
}

t.test('a stricter question', async (t) => {
  const base = `http://127.0.0.1:${await gateway(t, block.replace('/session?', '/session?required'), countersign)}`
  t.equal((await call(base, 'GET', '/?x=1', { access: owner.access })).status, 200)
  t.match((await call(base, 'GET', '/?x=1', { access: optional.access })).json(), { statusCode: 403, code: 'OTP_REQUIRED' })
})
