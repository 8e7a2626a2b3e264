#!/usr/bin/env bash
# Fact: python-jose tries the keys of a JWK Set in their order, without a look at kid, and a key of another type before the right one ends
#   the verification: "Incorrect key type. Expected: 'RSA', Received: OKP". After the right one the same key does no harm.
# Version: python3-jose 3.3.0+dfsg-4 (Debian 12).
# One would have guessed: the key that the token's kid names; or the next key of the set, as for a key of the same type that does not fit.
# Why it matters: the issuer adds an Ed25519 or P-256 key in front of its RSA key, days before it signs with it, as is right: from then on
#   the verifier refuses every valid token. Put new keys of another type at the end, and look the key up by kid yourself.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root python3-jose=3.3.0+dfsg-4 \
  python3-ecdsa=0.18.0-3 python3-pyasn1 python3-rsa=4.8-1 python3-six=1.16.0-4
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*.deb
openssl genrsa -traditional -out key.pem 2048 2> /dev/null
openssl rsa -in key.pem -noout -modulus 2> /dev/null > modulus.txt
cat > probe.py <<'PYTHON'
import base64
import sys

sys.path.insert(0, sys.argv[1] + "/root/usr/lib/python3/dist-packages")
from jose import jwt
from jose.exceptions import JOSEError


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key(kid, n):
    return {"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": text(n), "e": "AQAB"}


rsa = key("r", bytes.fromhex(open("modulus.txt").read().strip().split("=")[1]))
other_rsa = key("s", b"\xc1" + b"\x01" * 255)
# the key of RFC 8037, A.2, and the point of RFC 7517, A.1
okp = {"kty": "OKP", "crv": "Ed25519", "kid": "o", "alg": "EdDSA", "use": "sig", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
ec = {
    "kty": "EC", "crv": "P-256", "kid": "e", "alg": "ES256", "use": "sig",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
token = jwt.encode({"sub": "ann"}, open("key.pem").read(), algorithm="RS256", headers={"kid": "r"})
recorded = {
    "RSA": ([rsa], "ann"),
    "other RSA, RSA": ([other_rsa, rsa], "ann"),
    "RSA, Ed25519": ([rsa, okp], "ann"),
    "Ed25519, RSA": ([okp, rsa], "Incorrect key type. Expected: 'RSA', Received: OKP"),
    "P-256, RSA": ([ec, rsa], "Incorrect key type. Expected: 'RSA', Received: EC"),
}
for name, (keys, expected) in recorded.items():
    try:
        seen = jwt.decode(token, {"keys": keys}, algorithms=["RS256"])["sub"]
    except JOSEError as error:
        seen = str(error)
    print("%s: %s" % (name, seen))
    assert seen == expected, "recorded was: %s" % expected
PYTHON
python3 probe.py "$dir"
