#!/usr/bin/env bash
# Fact: `pass otp` raises the counter of an event-based entry by a replacement that begins with "&". Since bash 5.2 a "&" there means the text
#   that was found: of counter=5 it makes "counter=5counter=6". The first code is printed, and from then on the entry is refused:
#   "Invalid key URI (missing counter)". Where the counter is the first parameter, nothing is replaced, and each call prints one code.
# Version: pass-otp 1.2.0-7 under pass 1.7.4-6 and bash 5.2.15, as Debian 12 has them, with oathtool 2.6.7-3.1+deb12u1; a stand-in for gpg
#   keeps the text as it is. With the option patsub_replacement of bash off, as in bash 5.1, the counter rises.
# One would have guessed: a released extension of one distribution works with the bash of the same one, at the second call too.
# Why it matters: a user with a counter-based entry gets one code for it, and the stored key must be repaired by hand. Any script of bash
#   that puts a "&" of an URI into ${text/pattern/replacement} changes in the same way; quote the replacement.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
oath=2.6.7-3.1+deb12u1
apt-get download -qq -o APT::Sandbox::User=root pass=1.7.4-6 pass-otp=1.2.0-7 "oathtool=$oath" "liboath0=$oath" bash libtinfo6
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*.deb
mkdir bin store
export LD_LIBRARY_PATH=$dir/root/usr/lib/$(uname -m)-linux-gnu:$dir/root/lib/$(uname -m)-linux-gnu
export PATH=$dir/bin:$dir/root/usr/bin:$PATH
export PASSWORD_STORE_DIR=$dir/store PASSWORD_STORE_ENABLE_EXTENSIONS=true
export PASSWORD_STORE_EXTENSIONS_DIR=$dir/root/usr/lib/password-store/extensions
chmod +x "$PASSWORD_STORE_EXTENSIONS_DIR/otp.bash"
# gpg -e … -o FILE writes what it is given, gpg -d … FILE prints it
cat > bin/gpg <<'GPG'
#!/usr/bin/env bash
for word; do [[ ${before-} == -o ]] && out=$word; before=$word; done
if [[ $1 == -d ]]; then cat "$before"; else cat > "$out"; fi
GPG
chmod +x bin/gpg
ln -s gpg bin/gpg2
echo 'ann@example.org' > store/.gpg-id

key=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
bash=$dir/root/bin/bash
"$bash" --version | sed -n 1p
expect() {
  echo "$1: $2"
  [[ $2 == "$3" ]] || { echo "recorded was: $3"; exit 1; }
}
codes() { for counter; do oathtool --hotp -b -c "$counter" "$key"; done | xargs; }
entry() { # $1: parameters, then options of bash; three calls, and what is stored of the counter afterwards
  echo "otpauth://hotp/Acme:ann?$1" > store/entry.gpg
  shift
  for _ in 1 2 3; do "$bash" "$@" root/usr/bin/pass otp entry 2>&1 | sed 's/: otpauth.*//'; done | paste -sd ,
  grep -o 'counter=[0-9a-z=]*' store/entry.gpg
}
error='Invalid key URI (missing counter)'
expect 'secret first, counter=5' "$(entry "secret=$key&counter=5" | xargs)" "$(codes 6),$error,$error counter=5counter=6"
expect 'the same, patsub_replacement off' \
  "$(entry "secret=$key&counter=5" +O patsub_replacement | xargs)" "$(codes 6 7 8 | tr ' ' ,) counter=8"
expect 'counter=5 first' "$(entry "counter=5&secret=$key" | xargs)" "$(codes 6 6 6 | tr ' ' ,) counter=5"
