#!/usr/bin/env bash
# Fact: fido2-assert -V wants the authenticator data wrapped as a CBOR byte string (0x58 0x25 before its 37 bytes), not as a browser gives
#   them (response.authenticatorData); the raw bytes end with FIDO_ERR_INVALID_ARGUMENT. And base64url is "input error": it wants
#   standard base64.
# Version: fido2-tools 1.12.0-2+b1 with libfido2-1 1.12.0-2+b1 and libcbor0.8 0.8.0-2+b1 (Debian 12).
# One would have guessed: the fields of the WebAuthn answer as they are, since the manual only says "authenticator data (base64 blob)".
# Why it matters: it is an independent judge for passkey assertions, on every Debian, without hardware. Its refusal of raw data reads as a
#   fault of the server's or the authenticator's bytes, and sends the search in the wrong direction.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root fido2-tools=1.12.0-2+b1 libfido2-1=1.12.0-2+b1 libcbor0.8=0.8.0-2+b1
for package in ./*.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/$(uname -m)-linux-gnu
ls ./*.deb

# a valid assertion of our own making: RP id localhost, user present, counter 1, ES256
openssl ecparam -name prime256v1 -genkey -noout -out key.pem
openssl ec -in key.pem -pubout -out public.pem 2> /dev/null
printf '{"type":"webauthn.get","challenge":"AAAA","origin":"http://localhost"}' > client.json
openssl dgst -sha256 -binary client.json > client.hash
{ printf localhost | openssl dgst -sha256 -binary; printf '\x01\0\0\0\x01'; } > data.bin
cat data.bin client.hash | openssl dgst -sha256 -sign key.pem -binary > signature.bin
{ printf '\x58\x25'; cat data.bin; } > wrapped.bin

judge() { # $1: the file of authenticator data, $2: command that changes the text
  { base64 -w0 client.hash; echo; echo localhost; base64 -w0 "$1"; echo; base64 -w0 signature.bin; echo; } | eval "$2" > input.txt
  status=0
  "$dir/root/usr/bin/fido2-assert" -V -i input.txt public.pem es256 > output.txt 2>&1 || status=$?
  echo "status $status $(sed 's/^fido2-assert: //' output.txt)"
}
expect() {
  echo "$1: $2"
  [[ $2 == $3 ]] || { echo "recorded was: $3"; exit 1; }
}
expect 'wrapped' "$(judge wrapped.bin cat)" 'status 0 '
expect 'raw, as the browser gives it' "$(judge data.bin cat)" 'status 1 *FIDO_ERR_INVALID_ARGUMENT*'
expect 'wrapped, base64url' "$(judge wrapped.bin "tr '+/' '-_' | tr -d =")" 'status 1 *input error*'
# the judgement is a real one: another message, same signature
printf ' ' >> client.json
openssl dgst -sha256 -binary client.json > client.hash
expect 'another message' "$(judge wrapped.bin cat)" 'status 1 *FIDO_ERR_INVALID_SIG*'
