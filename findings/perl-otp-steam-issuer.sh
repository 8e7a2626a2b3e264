#!/usr/bin/env bash
# Fact: Pass::OTP takes every entry whose issuer begins with "Steam", in any case, for one of the game shop: it shows five letters and
#   digits in place of six digits. "Steamboat Tours" and "steam works" get codes such as 3VHD4, whatever the URI says of digits.
# Version: libpass-otp-perl 1.5-2 (Debian 12).
# One would have guessed: the codes of RFC 6238, since the URI says totp, digits and algorithm; Steam's own apps use no such URI.
# Why it matters: the name of a service decides about its codes. Every code of such a user is refused, at a service whose name is fine in
#   all phone apps. A label that begins so does no harm, only the parameter issuer.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root libpass-otp-perl=1.5-2 libconvert-base32-perl=0.06-3 libdigest-hmac-perl=1.04+dfsg-2
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*.deb
cat > probe.pl <<'PERL'
use strict;
use warnings;
use Pass::OTP qw(otp);
use Pass::OTP::URI qw(parse);

# [label, parameters, recorded]; the key of RFC 6238, whose code of second 59 is 94287082
my @entries = (
    [ 'Acme:ann',              'issuer=Acme',                      '287082' ],
    [ 'Acme:ann',              'issuer=Acme&digits=8',             '94287082' ],
    [ 'Steamboat%20Tours:ann', '',                                 '287082' ],
    [ 'Steamboat%20Tours:ann', 'issuer=Steamboat%20Tours',         'STEAM' ],
    [ 'Steamboat%20Tours:ann', 'issuer=Steamboat%20Tours&digits=8', 'STEAM' ],
    [ 'steam%20works:ann',     'issuer=steam%20works',             'STEAM' ],
    [ 'The%20Steam%20Mill:ann', 'issuer=The%20Steam%20Mill',       '287082' ],
);
for my $entry (@entries) {
    my ( $label, $parameters, $recorded ) = @$entry;
    my $uri = "otpauth://totp/$label?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&$parameters";
    my $code = otp( parse($uri), now => 59 );
    print "$label, $parameters: $code\n";
    my $as_recorded = $recorded eq 'STEAM' ? $code =~ /^[2-9B-DF-HJKMNP-RTV-Y]{5}$/ : $code eq $recorded;
    die "recorded was: $recorded\n" unless $as_recorded;
}
PERL
perl -I"$dir/root/usr/share/perl5" probe.pl
