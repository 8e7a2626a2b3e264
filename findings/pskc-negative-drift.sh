#!/usr/bin/env bash
# Fact: libpskc returns the clock drift of a hardware token (TimeDrift of RFC 6030, "positive or negative") as an unsigned number: -4 steps
#   are 4294967292 in pskctool, without a warning. The library's own manual page tells of drifts below zero.
# Version: pskctool and libpskc0 2.6.7-3.1+deb12u1 (Debian 12); compared with python3-pskc 1.2-1, which reads -4.
# One would have guessed: -4, as in the file, since one half of all clocks is slow.
# Why it matters: drifts that a server has learnt are what keeps old tokens working after a move. Taken over from this output, the drift of
#   each slow token is 4000 years, and all its codes are refused; those of fast tokens arrive, so a sample of a few may not show it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
version=2.6.7-3.1+deb12u1
apt-get download -qq -o APT::Sandbox::User=root "pskctool=$version" "libpskc0=$version" python3-pskc=1.2-1 \
  libxmlsec1 libxmlsec1-openssl libxml2 libxslt1.1 libicu72 python3-dateutil python3-six
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*psk*.deb
libraries=$dir/root/usr/lib/$(uname -m)-linux-gnu

expect() { # $1: drift in the file, $2: what pskctool shows, $3: what python-pskc reads
  cat > token.xml <<XML
<?xml version="1.0" encoding="UTF-8"?>
<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">
  <KeyPackage>
    <Key Id="1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp">
      <AlgorithmParameters><ResponseFormat Length="6" Encoding="DECIMAL"/></AlgorithmParameters>
      <Data>
        <Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>
        <Time><PlainValue>0</PlainValue></Time>
        <TimeInterval><PlainValue>30</PlainValue></TimeInterval>
        <TimeDrift><PlainValue>$1</PlainValue></TimeDrift>
      </Data>
    </Key>
  </KeyPackage>
</KeyContainer>
XML
  shown=$(LD_LIBRARY_PATH=$libraries root/usr/bin/pskctool --info token.xml | sed -n 's/.*Key TimeDrift: //p')
  read=$(PYTHONPATH=root/usr/lib/python3/dist-packages python3 -c 'import pskc; print(pskc.PSKC("token.xml").keys[0].time_drift)')
  echo "drift $1: pskctool $shown, python-pskc $read"
  [[ $shown == "$2" && $read == "$3" ]] || { echo "recorded was: $2, $3"; exit 1; }
}
expect 4 4 4
expect -4 4294967292 -4
expect -1 4294967295 -1
