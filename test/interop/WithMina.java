// Runs operations with the client of Apache MINA SSHD: arguments and standard input as in WithJsch.
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.time.Duration;
import java.util.Arrays;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.auth.keyboard.UserInteraction;
import org.apache.sshd.client.keyverifier.*;
import org.apache.sshd.client.session.ClientSession;
import org.apache.sshd.common.keyprovider.FileKeyPairProvider;
import org.apache.sshd.sftp.client.*;

public class WithMina {
  public static void main(String[] given) throws Exception {
    try (SshClient client = SshClient.setUpDefaultClient()) {
      Path known = Path.of(given[4]);
      client.setServerKeyVerifier(new KnownHostsServerKeyVerifier(RejectAllServerKeyVerifier.INSTANCE, known));
      client.setKeyIdentityProvider(new FileKeyPairProvider(Path.of(given[3])));
      client.setUserInteraction(new Answers(given[5]));
      client.start();
      try (ClientSession session =
          client.connect(given[2], given[0], Integer.parseInt(given[1])).verify(Duration.ofSeconds(20)).getSession()) {
        session.auth().verify(Duration.ofSeconds(60));
        try (SftpClient sftp = SftpClientFactory.instance().createSftpClient(session)) {
          run(sftp);
        }
      }
    }
  }

  static void run(SftpClient sftp) throws IOException {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] op = line.split("\t");
      switch (op[0]) {
        case "put" -> {
          try (InputStream from = Files.newInputStream(Path.of(op[1])); OutputStream to = sftp.write(op[2])) {
            from.transferTo(to);
          }
        }
        case "get" -> {
          try (InputStream from = sftp.read(op[1])) {
            Files.copy(from, Path.of(op[2]), StandardCopyOption.REPLACE_EXISTING);
          }
        }
        case "resume" -> {
          Path to = Path.of(op[2]);
          try (InputStream from = sftp.read(op[1]);
              OutputStream rest = Files.newOutputStream(to, StandardOpenOption.APPEND)) {
            from.skipNBytes(Files.size(to));
            from.transferTo(rest);
          }
        }
        case "rename" -> sftp.rename(op[1], op[2]);
        case "remove" -> sftp.remove(op[1]);
        case "list" -> {
          for (SftpClient.DirEntry one : sftp.readDir(op[1])) out.println(one.getFilename());
        }
        default -> throw new IllegalArgumentException(op[0]);
      }
    }
  }

  record Answers(String code) implements UserInteraction {
    public boolean isInteractionAllowed(ClientSession session) { return true; }
    public String[] interactive(
        ClientSession session, String name, String text, String language, String[] prompts, boolean[] echo) {
      String[] answers = new String[prompts.length];
      Arrays.fill(answers, code);
      return answers;
    }
    public String getUpdatedPassword(ClientSession session, String prompt, String language) { return null; }
  }
}
