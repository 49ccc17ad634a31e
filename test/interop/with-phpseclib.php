<?php
// Runs operations with phpseclib: arguments host, port, user, key, known hosts, code (or nothing); each line of standard
// input is an operation with its names, separated by tabs.
require_once 'phpseclib3/autoload.php';

use phpseclib3\Crypt\PublicKeyLoader;
use phpseclib3\Net\SFTP;

[, $host, $port, $user, $key, $known, $code] = $argv;
function must($isGood, string $why): void {
    if ($isGood) return;
    fwrite(STDERR, "$why\n");
    exit(1);
}
$sftp = new SFTP($host, (int) $port, 60);
// The library knows no file of known hosts: the program compares the key itself.
[$type, $blob] = explode(' ', (string) $sftp->getServerPublicHostKey());
must(str_contains(file_get_contents($known), "$type $blob"), 'another host key');
$proofs = [PublicKeyLoader::load(file_get_contents($key))];
if ($code !== '') $proofs[] = ['Verification code' => $code];
must($sftp->login($user, ...$proofs), 'no login');
while (($line = fgets(STDIN)) !== false) {
    [$kind, $from, $to] = array_pad(explode("\t", rtrim($line, "\n")), 3, '');
    $isDone = match ($kind) {
        'put' => $sftp->put($to, $from, SFTP::SOURCE_LOCAL_FILE),
        'get' => $sftp->get($from, $to),
        'resume' => $sftp->get($from, fopen($to, 'ab'), filesize($to)),
        'rename' => $sftp->rename($from, $to),
        'remove' => $sftp->delete($from, false),
        'list' => is_array($names = $sftp->nlist($from)) && print(implode("\n", $names) . "\n"),
    };
    must($isDone, "$kind $from: " . $sftp->getLastSFTPError());
}
