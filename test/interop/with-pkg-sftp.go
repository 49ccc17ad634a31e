// Runs operations with pkg/sftp: arguments host, port, user, key, known hosts, code (or nothing); each line of standard
// input is an operation with its names, separated by tabs.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func do(client *sftp.Client, op []string) error {
	switch op[0] {
	case "put":
		local, err := os.Open(op[1])
		if err != nil {
			return err
		}
		defer local.Close()
		remote, err := client.Create(op[2])
		if err != nil {
			return err
		}
		if _, err := remote.ReadFrom(local); err != nil {
			remote.Close()
			return err
		}
		return remote.Close()
	case "get", "resume":
		flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		if op[0] == "resume" {
			flags = os.O_WRONLY | os.O_APPEND
		}
		remote, err := client.Open(op[1])
		if err != nil {
			return err
		}
		defer remote.Close()
		local, err := os.OpenFile(op[2], flags, 0o600)
		if err != nil {
			return err
		}
		defer local.Close()
		if info, err := local.Stat(); err != nil {
			return err
		} else if _, err := remote.Seek(info.Size(), io.SeekStart); err != nil {
			return err
		}
		_, err = remote.WriteTo(local)
		return err
	case "rename":
		return client.PosixRename(op[1], op[2])
	case "remove":
		return client.Remove(op[1])
	case "list":
		found, err := client.ReadDir(op[1])
		for _, one := range found {
			fmt.Println(one.Name())
		}
		return err
	}
	return fmt.Errorf("unknown operation %s", op[0])
}

func main() {
	given := os.Args[1:]
	text, err := os.ReadFile(given[3])
	must(err)
	key, err := ssh.ParsePrivateKey(text)
	must(err)
	known, err := knownhosts.New(given[4])
	must(err)
	answer := func(_, _ string, questions []string, _ []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range answers {
			answers[i] = given[5]
		}
		return answers, nil
	}
	connection, err := ssh.Dial("tcp", given[0]+":"+given[1], &ssh.ClientConfig{
		User:            given[2],
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(key), ssh.KeyboardInteractive(answer)},
		HostKeyCallback: known,
		Timeout:         20 * time.Second,
	})
	must(err)
	client, err := sftp.NewClient(connection)
	must(err)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		must(do(client, strings.Split(lines.Text(), "\t")))
	}
	must(client.Close())
}
