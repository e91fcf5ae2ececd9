# Opens a tap device and carries its frames over the socket at descriptor 3, each with its length
# before it (four bytes in network order). Node cannot make the ioctl that a tap wants; perl is on
# every Debian. The device is gone when this ends, which it does when the socket is closed.
use strict;
use warnings;
use Fcntl qw(O_RDWR);

# From linux/if_tun.h.
my ($IFF_TAP, $IFF_NO_PI, $TUNSETIFF) = (0x0002, 0x1000, 0x400454ca);
my $MOST = 65535 + 14;

sysopen(my $tap, '/dev/net/tun', O_RDWR) or die "/dev/net/tun: $!\n";
my $request = pack('a16 S x22', 'xenolith%d', $IFF_TAP | $IFF_NO_PI);
ioctl($tap, $TUNSETIFF, $request) or die "a tap device: $!\n";
$| = 1;
print unpack('Z16', $request), "\n";

open(my $socket, '+<&=', 3) or die "socket: $!\n";
binmode($_) for ($tap, $socket);
my $rest = '';
while (1) {
    my $wanted = '';
    vec($wanted, fileno($_), 1) = 1 for ($tap, $socket);
    select(my $ready = $wanted, undef, undef, undef);
    if (vec($ready, fileno($tap), 1)) {
        # A device that is down gives an error; it may come up again.
        my $length = sysread($tap, my $frame, $MOST);
        write_all(pack('N', $length) . $frame) if $length;
    }
    if (vec($ready, fileno($socket), 1)) {
        sysread($socket, $rest, 1 << 18, length $rest) or exit;
        while (length($rest) >= 4) {
            my $length = unpack('N', $rest);
            last if length($rest) < 4 + $length;
            syswrite($tap, substr($rest, 4, $length));
            substr($rest, 0, 4 + $length) = '';
        }
    }
}

sub write_all {
    my ($bytes) = @_;
    while (length $bytes) {
        my $done = syswrite($socket, $bytes) or exit;
        substr($bytes, 0, $done) = '';
    }
}
