// Runs operations with sshj: arguments and standard input as in WithJsch.
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import net.schmizz.sshj.SSHClient;
import net.schmizz.sshj.sftp.*;
import net.schmizz.sshj.transport.verification.OpenSSHKnownHosts;
import net.schmizz.sshj.userauth.method.*;
import net.schmizz.sshj.userauth.password.Resource;

public class WithSshj {
  public static void main(String[] given) throws Exception {
    try (SSHClient client = new SSHClient()) {
      client.addHostKeyVerifier(new OpenSSHKnownHosts(new File(given[4])));
      client.connect(given[0], Integer.parseInt(given[1]));
      AuthMethod key = new AuthPublickey(client.loadKeys(given[3]));
      client.auth(given[2], key, new AuthKeyboardInteractive(new Answers(given[5])));
      try (SFTPClient sftp = client.newSFTPClient()) {
        run(sftp);
      }
    }
  }

  static void run(SFTPClient sftp) throws IOException {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] op = line.split("\t");
      switch (op[0]) {
        case "put" -> sftp.put(op[1], op[2]);
        case "get" -> sftp.get(op[1], op[2]);
        case "resume" -> {
          Path to = Path.of(op[2]);
          try (RemoteFile file = sftp.open(op[1], EnumSet.of(OpenMode.READ));
              InputStream from = file.new ReadAheadRemoteFileInputStream(16, Files.size(to));
              OutputStream rest = Files.newOutputStream(to, StandardOpenOption.APPEND)) {
            from.transferTo(rest);
          }
        }
        case "rename" -> sftp.rename(op[1], op[2]);
        case "remove" -> sftp.rm(op[1]);
        case "list" -> {
          for (RemoteResourceInfo one : sftp.ls(op[1])) out.println(one.getName());
        }
        default -> throw new IllegalArgumentException(op[0]);
      }
    }
  }

  record Answers(String code) implements ChallengeResponseProvider {
    public List<String> getSubmethods() { return List.of(); }
    public void init(Resource resource, String name, String instruction) {}
    public char[] getResponse(String prompt, boolean echo) { return code.toCharArray(); }
    public boolean shouldRetry() { return false; }
  }
}
