# Runs operations with Net::SFTP::Foreign, which starts OpenSSH's ssh: arguments host, port, user, key, known hosts;
# each line of standard input is an operation with its names, separated by tabs.
use strict;
use warnings;
use Net::SFTP::Foreign;

my ($host, $port, $user, $key, $known) = @ARGV;
my $sftp = Net::SFTP::Foreign->new(
    $host,
    port => $port,
    user => $user,
    key_path => $key,
    # The names below are bytes of UTF-8 already: they are sent as they are.
    fs_encoding => 'latin1',
    more => [
        '-F', '/dev/null', '-o', 'IdentitiesOnly=yes', '-o', 'IdentityAgent=none', '-o', 'BatchMode=yes',
        '-o', 'StrictHostKeyChecking=yes', '-o', "UserKnownHostsFile=$known",
    ],
);
sub done { die "$_[0]: " . $sftp->error . "; status " . ($sftp->status + 0) . ', ' . $sftp->status . "\n" if $sftp->error }
done('login');
while (my $line = <STDIN>) {
    chomp $line;
    my ($kind, $from, $to) = split /\t/, $line;
    if ($kind eq 'put') { $sftp->put($from, $to, copy_perm => 0, copy_time => 0) }
    elsif ($kind eq 'get') { $sftp->get($from, $to, copy_perm => 0) }
    elsif ($kind eq 'resume') { $sftp->get($from, $to, resume => 1, copy_perm => 0) }
    elsif ($kind eq 'rename') { $sftp->rename($from, $to) }
    elsif ($kind eq 'remove') { $sftp->remove($from) }
    elsif ($kind eq 'list') { print "$_->{filename}\n" for @{ $sftp->ls($from) || [] } }
    else { die "$kind\n" }
    done("$kind $from");
}
