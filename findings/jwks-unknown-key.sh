#!/usr/bin/env bash
# Fact: one key of a kind that it does not know spoils a whole JWK Set for four readers, though the token names another key of the set:
#   node-jose throws at an Ed25519 key, PyJWT at an X25519 key for encryption, Authlib and jwcrypto at `kty` AKP, the one of ML-DSA.
# Version: node-jose 2.2.0; PyJWT 2.6.0-1+deb12u1, Authlib 1.2.0-1+deb12u2, jwcrypto 1.1.0-1+deb12u1 (Debian 12). jose 6.2.18,
#   jwks-rsa 4.1.0, aws-jwt-verify 5.2.1, hono 4.13.19 and Crypt::JWT 0.034-1 read each of these sets.
# One would have guessed: the key is passed over, as RFC 7517 (section 5) recommends. PyJWT has code for it, which misses this error.
# Why it matters: an issuer adds a key of another kind for other uses, or weeks before it signs with it, and verifiers that never needed it
#   refuse every valid token from their next look at the set. Test verifiers with such a set first, or filter it by `kty`.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  jose@6.2.18 node-jose@2.2.0 jwks-rsa@4.1.0 aws-jwt-verify@5.2.1 hono@4.13.19
npm ls --depth=0
apt-get download -qq -o APT::Sandbox::User=root python3-jwt=2.6.0-1+deb12u1 python3-authlib=1.2.0-1+deb12u2 \
  python3-jwcrypto=1.1.0-1+deb12u1 python3-cryptography python3-cffi-backend python3-deprecated python3-wrapt \
  libcrypt-jwt-perl=0.034-1 libcryptx-perl libjson-perl
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*jwt*.deb ./*authlib*.deb ./*jwcrypto*.deb
cat > probe.py <<'PYTHON'
import json
import sys

sys.path.insert(0, "root/usr/lib/python3/dist-packages")
import jwt
from authlib.jose import JsonWebKey, JsonWebToken
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT

reader, token, text = sys.argv[1:]


def pyjwt():
    return jwt.decode(token, jwt.PyJWKSet.from_json(text)["r"].key, algorithms=["RS256"], audience="api")


def authlib():
    return JsonWebToken(["RS256"]).decode(token, JsonWebKey.import_key_set(json.loads(text)))


def jwcrypto():
    return json.loads(JWT(key=JWKSet.from_json(text), jwt=token, algs=["RS256"]).claims)


try:
    print(globals()[reader]()["sub"])
except Exception as error:
    print(type(error).__name__)
PYTHON
cat > probe.pl <<'PERL'
use lib 'root/usr/share/perl5', glob('root/usr/lib/*/perl5/5.*');
use Crypt::JWT 'decode_jwt';
print decode_jwt(token => $ARGV[0], kid_keys => $ARGV[1], accepted_alg => 'RS256')->{sub};
PERL
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { JwtVerifier } from 'aws-jwt-verify'
import { verifyWithJwks } from 'hono/jwt'
import { createLocalJWKSet, jwtVerify, SignJWT } from 'jose'
import jwksRsa from 'jwks-rsa'
import nodeJose from 'node-jose'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const publicJwk = (kind, members) => ({ ...generateKeyPairSync(kind).publicKey.export({ format: 'jwk' }), ...members })
const rsa = { ...publicKey.export({ format: 'jwk' }), kid: 'r', alg: 'RS256', use: 'sig' }
const others = {
  'RSA alone': [],
  'with Ed25519': [publicJwk('ed25519', { kid: 'e', alg: 'EdDSA', use: 'sig' })],
  'with X25519': [publicJwk('x25519', { kid: 'x', use: 'enc' })],
  // ML-DSA-44 has public keys of 1312 bytes.
  'with AKP': [{ kty: 'AKP', alg: 'ML-DSA-44', pub: Buffer.alloc(1312, 7).toString('base64url'), kid: 'q', use: 'sig' }]
}
const issuer = 'https://issuer.example.org/'
const token = await new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'RS256', kid: 'r' })
  .setIssuer(issuer).setAudience('api').setExpirationTime('5m').sign(privateKey)

let set
const server = http.createServer((request, response) => response.end(JSON.stringify(set))).listen(0, '127.0.0.1')
await once(server, 'listening')
const jwksUri = `http://127.0.0.1:${server.address().port}/jwks.json`
const run = (program, ...words) => execFileSync(program, [...words, token, JSON.stringify(set)], { encoding: 'utf8' }).trim()
const readers = {
  'node-jose': async () => {
    const { payload } = await nodeJose.JWS.createVerify(await nodeJose.JWK.asKeyStore(set)).verify(token)
    return JSON.parse(payload).sub
  },
  PyJWT: () => run('python3', 'probe.py', 'pyjwt'),
  Authlib: () => run('python3', 'probe.py', 'authlib'),
  jwcrypto: () => run('python3', 'probe.py', 'jwcrypto'),
  'Crypt::JWT': () => run('perl', 'probe.pl'),
  jose: async () => (await jwtVerify(token, createLocalJWKSet(set))).payload.sub,
  'jwks-rsa': async () => (await jwksRsa({ jwksUri }).getSigningKey('r')).getPublicKey() && 'ann',
  'aws-jwt-verify': async () => {
    const verifier = JwtVerifier.create({ issuer, audience: 'api', jwksUri })
    verifier.cacheJwks(set)
    return (await verifier.verify(token)).sub
  },
  hono: async () => (await verifyWithJwks(token, { keys: set.keys, allowedAlgorithms: ['RS256'] })).sub
}
const seen = {}
for (const [reader, read] of Object.entries(readers)) {
  seen[reader] = {}
  for (const [name, keys] of Object.entries(others)) {
    set = { keys: [...keys, rsa] }
    seen[reader][name] = await Promise.resolve().then(read).catch(error => error.message)
  }
}
server.close()
console.table(seen)
const all = { 'RSA alone': 'ann', 'with Ed25519': 'ann', 'with X25519': 'ann', 'with AKP': 'ann' }
const unsupported = 'unsupported key type'
assert.deepEqual(seen, {
  'node-jose': { 'RSA alone': 'ann', 'with Ed25519': unsupported, 'with X25519': unsupported, 'with AKP': unsupported },
  PyJWT: { ...all, 'with X25519': 'InvalidKeyError' },
  Authlib: { ...all, 'with AKP': 'KeyError' },
  jwcrypto: { ...all, 'with AKP': 'InvalidJWKType' },
  'Crypt::JWT': all,
  jose: all,
  'jwks-rsa': all,
  'aws-jwt-verify': all,
  hono: all
})
process.exit()
JS
node probe.mjs
