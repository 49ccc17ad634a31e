<?php
// Runs operations with PHP's extension ssh2 (libssh2): arguments host, port, user, key, known hosts; each line of
// standard input is an operation with its names, separated by tabs. The extension answers no question for a code.
[, $host, $port, $user, $key, $known] = $argv;
function must($isGood, string $why): void {
    if ($isGood) return;
    fwrite(STDERR, "$why: " . (error_get_last()['message'] ?? '') . "\n");
    exit(1);
}
$connection = ssh2_connect($host, (int) $port, ['hostkey' => 'ssh-ed25519']);
must($connection, 'no connection');
$print = strtolower(ssh2_fingerprint($connection, SSH2_FINGERPRINT_SHA1 | SSH2_FINGERPRINT_HEX));
$prints = array_map(
    fn($line) => sha1(base64_decode(explode(' ', trim($line))[2] ?? '')),
    file($known),
);
must(in_array($print, $prints, true), 'another host key');
must(ssh2_auth_pubkey_file($connection, $user, "$key.pub", $key), 'no login');
$sftp = ssh2_sftp($connection);
must($sftp, 'no subsystem');
$at = fn(string $path): string => 'ssh2.sftp://' . intval($sftp) . '/' . $path;
/** Copies a file, and says whether every byte and the close were answered well. */
function carried($from, $to): bool {
    if ($from === false || $to === false) return false;
    $isWhole = stream_copy_to_stream($from, $to) !== false;
    return fclose($to) && $isWhole;
}
while (($line = fgets(STDIN)) !== false) {
    [$kind, $from, $to] = array_pad(explode("\t", rtrim($line, "\n")), 3, '');
    if ($kind === 'resume') {
        $remote = fopen($at($from), 'rb');
        fseek($remote, filesize($to));
    }
    $isDone = match ($kind) {
        'put' => carried(fopen($from, 'rb'), fopen($at($to), 'wb')),
        'get' => carried(fopen($at($from), 'rb'), fopen($to, 'wb')),
        'resume' => carried($remote, fopen($to, 'ab')),
        'rename' => ssh2_sftp_rename($sftp, "/$from", "/$to"),
        'remove' => ssh2_sftp_unlink($sftp, "/$from"),
        'list' => is_array($names = scandir($at($from))) && print(implode("\n", $names) . "\n"),
    };
    must($isDone, "$kind $from");
}
