#!/usr/bin/env bash
# Fact: of four readers of WWW-Authenticate one reads three everyday forms right. A bare `Bearer` is an error for three. Of two challenges
#   auth-header and www-authenticate make one, with the error of the second under the scheme of the first. http-auth-utils refuses
#   `acr_values` and `max_age`, which RFC 9470 adds to Bearer.
# Version: auth-header 1.0.0, www-authenticate 0.6.3, http-auth-utils 6.0.1; right: oauth4webapi 3.8.8.
# One would have guessed: what RFC 9110 shows as its examples can be read, and the scheme of a parameter is the scheme before it.
# Why it matters: a client meets the step-up challenge of an API as an exception, in the very branch that handles refusals, or takes the
#   `invalid_token` of Bearer for one of Basic once a proxy adds its own challenge. A test with one challenge and realm passes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  auth-header@1.0.0 www-authenticate@0.6.3 http-auth-utils@6.0.1 oauth4webapi@3.8.8
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import * as authHeader from 'auth-header'
import { parseWWWAuthenticateHeader } from 'http-auth-utils'
import * as oauth from 'oauth4webapi'
import www from 'www-authenticate'

const readers = {
  'auth-header' (text) {
    const { scheme, params } = authHeader.parse(text)
    return [{ scheme, ...params }]
  },
  'www-authenticate' (text) {
    const { err, scheme, parms } = new www.parsers.WWW_Authenticate(text)
    if (err) throw new Error(err)
    return [{ scheme, ...parms }]
  },
  'http-auth-utils' (text) {
    const { type, data } = parseWWWAuthenticateHeader(text)
    return [{ scheme: type, ...data }]
  },
  async oauth4webapi (text) {
    const answer = new Response('{}', { status: 401, headers: { 'www-authenticate': text } })
    const url = new URL('https://api.example.org/')
    const request = oauth.protectedResourceRequest('token', 'GET', url, undefined, undefined, { [oauth.customFetch]: async () => answer })
    const { cause } = await request.then(() => assert.fail('no challenge'), error => error)
    return cause.map(({ scheme, parameters }) => ({ scheme, ...parameters }))
  }
}
const seen = {}
for (const text of [
  'Bearer realm="api", error="invalid_token"',
  'Bearer',
  'Basic realm="gateway", Bearer error="invalid_token"',
  'Bearer error="insufficient_user_authentication", acr_values="phr", max_age=300'
]) {
  seen[text] = {}
  for (const [name, read] of Object.entries(readers)) {
    try {
      const challenges = await read(text)
      const shown = challenges.map(({ scheme, ...rest }) => [scheme, ...Object.entries(rest).map(pair => pair.join('='))].join(' '))
      seen[text][name] = shown.join(' | ')
    } catch (error) {
      seen[text][name] = `error: ${error.message.trim()}`
    }
  }
}
console.log(seen)
assert.deepEqual(seen, {
  'Bearer realm="api", error="invalid_token"': {
    'auth-header': 'Bearer realm=api error=invalid_token',
    'www-authenticate': 'Bearer realm=api error=invalid_token',
    'http-auth-utils': 'Bearer realm=api error=invalid_token',
    oauth4webapi: 'bearer realm=api error=invalid_token'
  },
  Bearer: {
    'auth-header': 'error: Invalid scheme',
    'www-authenticate': "error: Cannot read properties of null (reading '1')",
    'http-auth-utils': 'error: E_UNKNOWN_AUTH_MECHANISM',
    oauth4webapi: 'bearer'
  },
  'Basic realm="gateway", Bearer error="invalid_token"': {
    'auth-header': 'Basic realm=gateway error=invalid_token',
    'www-authenticate': 'Basic realm=gateway Bearer error=invalid_token',
    'http-auth-utils': 'error: E_UNAUTHORIZED_KEY',
    oauth4webapi: 'basic realm=gateway | bearer error=invalid_token'
  },
  'Bearer error="insufficient_user_authentication", acr_values="phr", max_age=300': {
    'auth-header': 'Bearer error=insufficient_user_authentication acr_values=phr max_age=300',
    'www-authenticate': 'Bearer error=insufficient_user_authentication acr_values=phr max_age=300',
    'http-auth-utils': 'error: E_UNAUTHORIZED_KEY',
    oauth4webapi: 'bearer error=insufficient_user_authentication acr_values=phr max_age=300'
  }
})
JS
node --no-deprecation probe.mjs
