#!/usr/bin/env bash
# Fact: parse_uri() of pyotp percent-decodes the whole URI before it splits it. It refuses an issuer with & # ? or +, correctly encoded as
#   it is, also where pyotp's own provisioning_uri() wrote the URI.
# Version: python3-pyotp 2.6.0-3 (Debian 12).
# One would have guessed: what provisioning_uri() writes, parse_uri() reads.
# Why it matters: an import of exported URIs stops at "AT&T" with "issuer ... should be equal", or at "No #1" with "No secret found in URI",
#   which reads as a fault of the export. Names of the service in the settings are best kept free of these four.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root python3-pyotp=2.6.0-3
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*.deb
cat > probe.py <<'PYTHON'
import sys

sys.path.insert(0, sys.argv[1] + "/root/usr/lib/python3/dist-packages")
import pyotp

recorded = {
    ("Acme", "ann@example.test"): ("Acme", "ann@example.test"),
    ("Acme Corp", "ann"): ("Acme Corp", "ann"),
    ("Acme", "ann+work@example.test"): ("Acme", "ann+work@example.test"),
    ("A&B", "ann"): "If issuer is specified in both label and parameters, it should be equal.",
    ("A+B", "ann"): "If issuer is specified in both label and parameters, it should be equal.",
    ("No #1", "ann"): "No secret found in URI",
    ("Who?", "ann"): ":ann?secret is not a valid parameter",
}
for (issuer, name), expected in recorded.items():
    uri = pyotp.TOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", name=name, issuer=issuer).provisioning_uri()
    try:
        read = pyotp.parse_uri(uri)
        seen = (read.issuer, read.name)
    except ValueError as error:
        seen = str(error)
    print(uri, "->", seen)
    assert seen == expected, "recorded was: %s" % (expected,)
PYTHON
python3 probe.py "$dir"
