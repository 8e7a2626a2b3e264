#!/usr/bin/env bash
# Fact: ykman keeps the period of a time-based entry as a number and a slash before its name on the YubiKey, and a name may begin so
#   itself. An entry of issuer "24/7 Support" with the usual 30 seconds comes back as issuer "7 Support" with a period of 24 seconds.
# Version: python3-ykman 4.0.9-1 (Debian 12), its yubikit.oath, which ykman calls; with a key made of software, that only keeps names.
# One would have guessed: the issuer as it was, and 30 seconds: parse_uri() reads the URI right, and adding it gives no error.
# Why it matters: every code of such a user is wrong, on the hardware token alone, while phones with the same QR code are right. An issuer
#   must not begin with digits and a slash, nor a name that stands without an issuer.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root python3-ykman=4.0.9-1
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*.deb
cat > probe.py <<'PYTHON'
import struct
import sys

sys.path.insert(0, sys.argv[1] + "/root/usr/lib/python3/dist-packages")
from yubikit.core import TRANSPORT, Tlv
from yubikit.core.smartcard import SmartCardConnection
from yubikit.oath import CredentialData, OathSession


class Key(SmartCardConnection):
    """Keeps one entry, and notes the time step that a code is asked for."""

    transport = TRANSPORT.USB
    step = None

    def send_and_receive(self, apdu):
        instruction, data = apdu[1], apdu[5:]
        if instruction == 0xA4:  # SELECT: version and salt
            return bytes(Tlv(0x79, b"\x05\x04\x03") + Tlv(0x71, b"saltsalt")), 0x9000
        if instruction == 0x01:  # PUT: name, then type, algorithm, digits and key
            name, key = Tlv.parse_list(data)[:2]
            self.entry = Tlv(0x72, key.value[:1] + name.value)
            return b"", 0x9000
        if instruction == 0xA1:  # LIST
            return bytes(self.entry), 0x9000
        self.step = struct.unpack(">q", Tlv.parse_list(data)[1].value)[0]  # CALCULATE
        return bytes(Tlv(0x76, b"\x06\0\0\0\0")), 0x9000


timestamp = 1111111109
recorded = {
    "otpauth://totp/Acme:ann?secret=GEZDGNBVGY3TQOJQ&issuer=Acme": ("Acme", "ann", 30),
    "otpauth://totp/Acme:ann?secret=GEZDGNBVGY3TQOJQ&issuer=Acme&period=60": ("Acme", "ann", 60),
    "otpauth://totp/24%2F7%20Support:ann?secret=GEZDGNBVGY3TQOJQ&issuer=24%2F7%20Support": ("7 Support", "ann", 24),
    "otpauth://totp/3%2Fann?secret=GEZDGNBVGY3TQOJQ": (None, "ann", 3),
}
for uri, expected in recorded.items():
    key = Key()
    session = OathSession(key)
    given = CredentialData.parse_uri(uri)
    session.put_credential(given)
    [entry] = session.list_credentials()
    seen = (entry.issuer, entry.name, entry.period)
    session.calculate_code(entry, timestamp)
    print("given", (given.issuer, given.name, given.period), "from the key", seen, "step", key.step, "right", timestamp // given.period)
    assert seen == expected and key.step == timestamp // expected[2], "recorded was: %s" % (expected,)
PYTHON
python3 probe.py "$dir"
