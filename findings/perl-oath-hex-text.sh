#!/usr/bin/env bash
# Fact: Authen::OATH takes the bytes of the key, but a key of 32 bytes or more that are all hexadecimal digits is decoded once more, to half
#   its length. A text with one character less, or with one letter that is no such digit, is used as it is.
# Version: libauthen-oath-perl 2.0.1-2 (Debian 12). Its documentation does not tell.
# One would have guessed: the key is the key. It shows base32 to be decoded before, so that the module need not guess.
# Why it matters: random texts of 32 or 40 hexadecimal digits are usual keys (openssl rand -hex 16), and others take their characters
#   for the key, as better-auth does. Every code of these users is wrong, without an error, and a test with the RFC's key is right.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root libauthen-oath-perl=2.0.1-2 libdigest-hmac-perl=1.04+dfsg-2 libmoo-perl=2.005005-1 \
  libtype-tiny-perl=2.002001-1 libclass-method-modifiers-perl=2.14-1 librole-tiny-perl=2.002004-1 libsub-quote-perl=2.006008-1 \
  libexporter-tiny-perl=1.006000-1
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./libauthen*.deb
cat > probe.pl <<'PERL'
use strict;
use warnings;
use Authen::OATH;
use Digest::SHA qw(hmac_sha1);

# HOTP of RFC 4226, by the HMAC of Perl itself
sub rfc {
    my ( $key, $counter ) = @_;
    my $hash = hmac_sha1( pack( 'NN', 0, $counter ), $key );
    my $number = unpack( 'N', substr( $hash, ord( substr( $hash, -1 ) ) & 15, 4 ) ) & 0x7fffffff;
    return sprintf '%06d', $number % 1_000_000;
}

my $oath = Authen::OATH->new;
my %keys = (
    'the key of the RFC'        => '12345678901234567890',
    '31 hexadecimal digits'     => '0123456789abcdef0123456789abcde',
    '32 hexadecimal digits'     => '0123456789abcdef0123456789abcdef',
    '32 characters, one is g'   => '0123456789abcdef0123456789abcdeg',
    '40 hexadecimal digits'     => '0123456789ABCDEF0123456789ABCDEF01234567',
);
my %recorded = map { $_ => 'the bytes' } keys %keys;
$recorded{$_} = 'decoded' for '32 hexadecimal digits', '40 hexadecimal digits';
for my $name ( sort keys %keys ) {
    my $code = $oath->hotp( $keys{$name}, 7 );
    my %means = ( rfc( $keys{$name}, 7 ) => 'the bytes' );
    $means{ rfc( pack( 'H*', $keys{$name} ), 7 ) } = 'decoded' if $keys{$name} =~ /^[0-9a-f]{32,}$/i;
    my $seen = $means{$code} // 'neither';
    print "$name: code $code, key: $seen\n";
    die "recorded was: $recorded{$name}\n" unless $seen eq $recorded{$name};
}
PERL
perl -I"$dir/root/usr/share/perl5" probe.pl
