#!/usr/bin/env bash
# Fact: Authlib answers a token whose kid is not in the JWK Set with a plain ValueError, "Invalid JSON Web Key Set", and no JoseError. Its
#   own JWTBearerTokenValidator catches JoseError alone: it returns None for a bad signature or an expired token, and throws for this one.
# Version: python3-authlib 1.2.0-1+deb12u2 (Debian 12).
# One would have guessed: a JoseError, as for each other token that cannot be verified; and nothing is wrong with the set.
# Why it matters: tokens of a key that was taken away, or of another issuer, come from outside at any time: each is a 500 and an alarm in
#   place of a 401, and the client does not refresh. The text blames the issuer's set. Catch ValueError beside JoseError.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root python3-authlib=1.2.0-1+deb12u2 python3-cryptography python3-cffi-backend
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*authlib*.deb
cat > probe.py <<'PYTHON'
import sys
import time

sys.path.insert(0, "root/usr/lib/python3/dist-packages")
from authlib.jose import JoseError, JsonWebKey, JsonWebToken, RSAKey
from authlib.oauth2.rfc7523.validator import JWTBearerTokenValidator

own, forged, former = (RSAKey.generate_key(2048, {"kid": kid}, is_private=True) for kid in ("own", "own", "former"))
keys = JsonWebKey.import_key_set({"keys": [own.as_dict(is_private=False)]})
tokens = JsonWebToken(["RS256"])
now = int(time.time())


def token(key, kid, expires=now + 300):
    claims = {"sub": "ann", "iat": now - 600, "exp": expires, "client_id": "web", "grant_type": "password"}
    return tokens.encode({"alg": "RS256", "kid": kid}, claims, key).decode()


def outcome(act):
    try:
        return act()
    except Exception as error:
        return "%s, JoseError: %s: %s" % (type(error).__name__, isinstance(error, JoseError), error)


def decode(text):
    claims = tokens.decode(text, keys)
    claims.validate()
    return claims["sub"]


def validate(text):
    claims = JWTBearerTokenValidator(keys).authenticate_token(text)
    return claims and claims["sub"]


cases = {
    "good": token(own, "own"),
    "expired": token(own, "own", now - 300),
    "signed by another key": token(forged, "own"),
    "kid not in the set": token(former, "former"),
}
seen = {name: (outcome(lambda: decode(text)), outcome(lambda: validate(text))) for name, text in cases.items()}
for name, (by_decode, by_validator) in seen.items():
    print("%s\n  decode: %s\n  validator: %s" % (name, by_decode, by_validator))
assert seen["good"] == ("ann", "ann")
assert seen["expired"][1] is None and seen["expired"][0].startswith("ExpiredTokenError, JoseError: True")
assert seen["signed by another key"][1] is None and seen["signed by another key"][0].startswith("BadSignatureError, JoseError: True")
assert seen["kid not in the set"] == ("ValueError, JoseError: False: Invalid JSON Web Key Set",) * 2
PYTHON
python3 probe.py
