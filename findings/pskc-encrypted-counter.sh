#!/usr/bin/env bash
# Fact: python-pskc writes an encrypted counter as bytes, and reads bytes that are all ASCII digits as a text: the counter 49 is the byte
#   0x31, and comes back as 1. Counters 48 to 57 come back as 0 to 9, 12337 as 1, 12849 as 21; all others are right, and so is 49 in the clear.
# Version: python3-pskc 1.2-1 (Debian 12), the library of csv2pskc, pskc2csv and pskc2pskc (pskc-utils).
# One would have guessed: the number that was written; the same library wrote and reads it, and no error comes.
# Why it matters: ten of the first hundred presses of a hardware token are set back by 48 on the way through a file whose counters are
#   encrypted: its next code is outside a usual look-ahead window, and the token seems broken. Encrypt the secret alone.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root python3-pskc=1.2-1 \
  python3-cryptography python3-cffi-backend python3-dateutil python3-six
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*pskc*.deb
cat > probe.py <<'PYTHON'
import io
import sys

sys.path.insert(0, sys.argv[1] + "/root/usr/lib/python3/dist-packages")
import pskc

wrapping_key = bytes(range(16))


def through_a_file(counter, encrypted):
    given = pskc.PSKC()
    given.add_key(
        id="1", serial="123", secret=b"12345678901234567890", counter=counter,
        algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp")
    given.encryption.setup_preshared_key(key=wrapping_key, fields=encrypted)
    file = io.BytesIO()
    given.write(file)
    read = pskc.PSKC(io.BytesIO(file.getvalue()))
    read.encryption.key = wrapping_key
    assert read.keys[0].secret == b"12345678901234567890"
    return read.keys[0].counter


counters = [*range(70), 12337, 12338, 12849, 12850, 65535]
clear = {n: through_a_file(n, ["secret"]) for n in counters}
changed = {n: read for n, read in ((n, through_a_file(n, ["secret", "counter"])) for n in counters) if read != n}
print("secret encrypted, counter not: all %d counters as written: %s" % (len(counters), all(n == read for n, read in clear.items())))
print("both encrypted, counters that come back as another:", changed)
assert all(n == read for n, read in clear.items())
assert changed == {
    48: 0, 49: 1, 50: 2, 51: 3, 52: 4, 53: 5, 54: 6, 55: 7, 56: 8, 57: 9, 12337: 1, 12338: 2, 12849: 21, 12850: 22}
PYTHON
python3 probe.py "$dir"
