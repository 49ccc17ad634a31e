// Runs operations with libssh: arguments host, port, user, key, known hosts, code (or nothing); each line of standard
// input is an operation with its names, separated by tabs.
#include <fcntl.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ssh_session session;
static sftp_session sftp;
// As in the manual of libssh: a write of more bytes is two packets, and the second waits for the answer to the first.
static char buffer[16384];

static void must(int is_good, const char *what) {
  if (is_good) return;
  fprintf(stderr, "%s: %s, status %d\n", what, ssh_get_error(session), sftp ? sftp_get_error(sftp) : -1);
  exit(1);
}

static void log_in(char **given) {
  const char *code = given[6];
  int answer = ssh_userauth_none(session, NULL);
  ssh_key key;
  must(ssh_pki_import_privkey_file(given[4], NULL, NULL, NULL, &key) == SSH_OK, "the key");
  answer = ssh_userauth_publickey(session, NULL, key);
  if (answer == SSH_AUTH_PARTIAL && *code != 0) {
    for (answer = ssh_userauth_kbdint(session, NULL, NULL); answer == SSH_AUTH_INFO;
         answer = ssh_userauth_kbdint(session, NULL, NULL))
      for (int i = 0; i < ssh_userauth_kbdint_getnprompts(session); i += 1)
        ssh_userauth_kbdint_setanswer(session, (unsigned)i, code);
  }
  must(answer == SSH_AUTH_SUCCESS, "login");
}

static void put(const char *from, const char *to) {
  int local = open(from, O_RDONLY);
  sftp_file remote = sftp_open(sftp, to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  must(local >= 0 && remote != NULL, to);
  for (ssize_t n; (n = read(local, buffer, sizeof buffer)) > 0;) must(sftp_write(remote, buffer, (size_t)n) == n, to);
  must(sftp_close(remote) == SSH_OK, to);
  close(local);
}

static void get(const char *from, const char *to, int is_resumed) {
  int local = open(to, is_resumed ? O_WRONLY | O_APPEND : O_WRONLY | O_CREAT | O_TRUNC, 0600);
  sftp_file remote = sftp_open(sftp, from, O_RDONLY, 0);
  struct stat found;
  must(local >= 0 && remote != NULL && fstat(local, &found) == 0, from);
  if (is_resumed) sftp_seek64(remote, (uint64_t)found.st_size);
  ssize_t n;
  while ((n = sftp_read(remote, buffer, sizeof buffer)) > 0) must(write(local, buffer, (size_t)n) == n, to);
  must(n == 0, from);
  sftp_close(remote);
  close(local);
}

static void list(const char *path) {
  sftp_dir directory = sftp_opendir(sftp, path);
  must(directory != NULL, path);
  for (sftp_attributes one; (one = sftp_readdir(sftp, directory)) != NULL; sftp_attributes_free(one)) puts(one->name);
  sftp_closedir(directory);
}

int main(int count, char **given) {
  char line[4096];
  must(count == 7, "arguments");
  session = ssh_new();
  int port = atoi(given[2]);
  ssh_options_set(session, SSH_OPTIONS_HOST, given[1]);
  ssh_options_set(session, SSH_OPTIONS_PORT, &port);
  ssh_options_set(session, SSH_OPTIONS_USER, given[3]);
  ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, given[5]);
  ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
  must(ssh_connect(session) == SSH_OK, "connection");
  must(ssh_session_is_known_server(session) == SSH_KNOWN_HOSTS_OK, "another host key");
  log_in(given);
  sftp = sftp_new(session);
  must(sftp != NULL && sftp_init(sftp) == SSH_OK, "subsystem");
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    char *kind = strtok(line, "\t"), *from = strtok(NULL, "\t"), *to = strtok(NULL, "\t");
    if (strcmp(kind, "put") == 0) put(from, to);
    else if (strcmp(kind, "get") == 0) get(from, to, 0);
    else if (strcmp(kind, "resume") == 0) get(from, to, 1);
    else if (strcmp(kind, "rename") == 0) must(sftp_rename(sftp, from, to) == SSH_OK, from);
    else if (strcmp(kind, "remove") == 0) must(sftp_unlink(sftp, from) == SSH_OK, from);
    else if (strcmp(kind, "list") == 0) list(from);
    else must(0, kind);
  }
  ssh_disconnect(session);
  return 0;
}
