#!/usr/bin/env bash
# Fact: oathtool, asked to judge a TOTP code within a window (-w), searches both directions and prints how many steps away the code was,
#   without a sign: the step before and the step after both print 1. The same -w with no code prints the codes of later steps only.
# Version: oathtool 2.6.7-3.1+deb12u1 with liboath0 of the same version (Debian 12).
# One would have guessed: -1 and 1, or a search in one direction as for HOTP.
# Why it matters: oathtool is the usual independent judge in tests and support work. Its number cannot tell a clock that is late from
#   one that is early, so a drift taken from it and stored is wrong in half of the cases.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
version=2.6.7-3.1+deb12u1
apt-get download -qq -o APT::Sandbox::User=root "oathtool=$version" "liboath0=$version"
for package in ./*.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/$(uname -m)-linux-gnu
oath() { "$dir/root/usr/bin/oathtool" "$@"; }
oath --version | sed -n 1p

key=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
now='2009-02-13 23:31:30 UTC'
before='2009-02-13 23:31:00 UTC'
after='2009-02-13 23:32:00 UTC'
expect() {
  echo "$1: $2"
  [[ $2 == "$3" ]] || { echo "recorded was: $3"; exit 1; }
}
code() { oath --totp -b -N "$1" "$key"; }
judged() { oath --totp -b -w 2 -N "$now" "$key" "$1"; }
expect 'code of this step, judged in this step' "$(judged "$(code "$now")")" 0
expect 'code of the step before' "$(judged "$(code "$before")")" 1
expect 'code of the step after' "$(judged "$(code "$after")")" 1
expect 'generated with -w 1: this step and the next' "$(oath --totp -b -w 1 -N "$now" "$key" | xargs)" "$(code "$now") $(code "$after")"
expect 'HOTP, counter 5, code of 6' "$(oath --hotp -b -c 5 -w 2 "$key" "$(oath --hotp -b -c 6 "$key")")" 1
if oath --hotp -b -c 5 -w 2 "$key" "$(oath --hotp -b -c 4 "$key")" > refused.txt 2>&1; then
  echo 'HOTP looks back now'
  exit 1
fi
echo 'HOTP, counter 5, code of 4: refused'
