#!/usr/bin/env bash
# Fact: the counter in a users.oath file (liboath, pam_oath) is the one of the last code that was used, while every other place keeps the
#   next one (RFC 4226's moving factor, PSKC, otpauth). A new line says 0 as well: whether counter 0 was used stands in the column after it.
#   That one code is refused as a replay by its text alone, so without the column it works again.
# Version: liboath0 2.6.7-3.1+deb12u1 (Debian 12), as libpam-oath and ocserv call it.
# One would have guessed: the next counter, as a new key has 0 in both readings. The manual of libpam-oath tells of the incremented counter,
#   and shows a 0 after the first code.
# Why it matters: a move that takes the column for the next counter accepts each user's last code once more; one that always adds one makes
#   new tokens miss their first code, which a look-ahead hides. Add one where the column of the last code is filled.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root liboath0=2.6.7-3.1+deb12u1
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*.deb
cat > probe.py <<'PYTHON'
import ctypes
import glob

oath = ctypes.CDLL(glob.glob("root/usr/lib/*/liboath.so.0")[0])
oath.oath_strerror_name.restype = ctypes.c_char_p
assert oath.oath_init() == 0
key = b"12345678901234567890"


def code(counter):
    text = ctypes.create_string_buffer(8)
    assert oath.oath_hotp_generate(key, ctypes.c_size_t(len(key)), ctypes.c_uint64(counter), ctypes.c_uint(6), False,
                                   ctypes.c_size_t(-1), text) == 0
    return text.value.decode()


def answer(otp):
    last = ctypes.c_int64()
    result = oath.oath_authenticate_usersfile(b"users.oath", b"ann", otp.encode(), ctypes.c_size_t(5), None, ctypes.byref(last))
    return oath.oath_strerror_name(result).decode()


def columns():
    with open("users.oath") as file:
        return file.read().split()


def write(*fields):
    with open("users.oath", "w") as file:
        file.write("HOTP/E/6\tann\t-\t%s%s\n" % (key.hex(), "".join("\t" + field for field in fields)))


assert code(0) == "755224"  # RFC 4226, appendix D
seen = []
write()
for counter in (0, 0, 1, 3, 2, 3, 4):
    result = answer(code(counter))
    seen.append((counter, result, columns()[4], columns()[5] == code(int(columns()[4]))))
    print("code of counter %d: %-17s then in the file: counter %s, code %s" % (counter, result, *columns()[4:6]))
assert seen == [
    (0, "OATH_OK", "0", True),
    (0, "OATH_REPLAYED_OTP", "0", True),
    (1, "OATH_OK", "1", True),
    (3, "OATH_OK", "3", True),
    (2, "OATH_INVALID_OTP", "3", True),
    (3, "OATH_REPLAYED_OTP", "3", True),
    (4, "OATH_OK", "4", True)]

write("4")
again = answer(code(4))
print("a line of counter 4 without the last code; code of counter 4:", again)
assert again == "OATH_OK"
PYTHON
python3 probe.py
