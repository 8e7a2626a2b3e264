#!/usr/bin/env bash
# Fact: the client of python3-fido2 refuses http://localhost as an origin, which every browser allows for passkeys: its rule takes https
#   alone. The error is ClientError BAD_REQUEST, the same as for a wrong RP id, and no message names the scheme.
# Version: python3-fido2 0.9.1-1 (Debian 12).
# One would have guessed: the rule of browsers, to which localhost is a secure context with http too.
# Why it matters: it is the client to test a server with, on the developer's machine, without hardware. The refusal reads as an RP id that
#   does not fit. A rule of one's own is the argument `verify` of Fido2Client.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root python3-fido2=0.9.1-1 python3-six=1.16.0-4
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*.deb

cat > probe.py <<'PYTHON'
import importlib.util
import os
import sys

packages = os.path.join(sys.argv[1], "root/usr/lib/python3/dist-packages")
sys.path.insert(0, packages)
# The module alone: the package's other ones need a compiled library.
spec = importlib.util.spec_from_file_location("rpid", os.path.join(packages, "fido2/rpid.py"))
rpid = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rpid)

cases = [
    ("localhost", "http://localhost:3000", False),
    ("app.localhost", "http://app.localhost:3000", False),
    ("localhost", "https://localhost:3000", True),
    ("example.org", "https://app.example.org", True),
    ("example.org", "http://example.org", False),
]
for rp_id, origin, recorded in cases:
    usable = rpid.verify_rp_id(rp_id, origin)
    print("RP id %s at %s: %s" % (rp_id, origin, usable))
    assert usable is recorded, "recorded was: %s" % recorded
PYTHON
python3 probe.py "$dir"
