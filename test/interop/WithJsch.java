// Runs operations with the maintained fork of JSch: arguments host, port, user, key, known hosts, code (or nothing);
// each line of standard input is an operation with its names, separated by tabs.
import com.jcraft.jsch.*;
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.Vector;

public class WithJsch {
  public static void main(String[] given) throws Exception {
    JSch jsch = new JSch();
    jsch.setKnownHosts(given[4]);
    jsch.addIdentity(given[3]);
    Session session = jsch.getSession(given[2], given[0], Integer.parseInt(given[1]));
    session.setConfig("PreferredAuthentications", "publickey,keyboard-interactive");
    session.setUserInfo(new Answers(given[5]));
    session.connect(20_000);
    try {
      run(session);
    } finally {
      // A session that is left open keeps the program from ending.
      session.disconnect();
    }
  }

  static void run(Session session) throws Exception {
    ChannelSftp sftp = (ChannelSftp) session.openChannel("sftp");
    sftp.connect(20_000);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] op = line.split("\t");
      switch (op[0]) {
        case "put" -> sftp.put(op[1], op[2]);
        case "get" -> sftp.get(quoted(op[1]), op[2]);
        case "resume" -> sftp.get(quoted(op[1]), op[2], null, ChannelSftp.RESUME);
        case "rename" -> sftp.rename(op[1], op[2]);
        case "remove" -> sftp.rm(quoted(op[1]));
        case "list" -> {
          for (Object one : (Vector<?>) sftp.ls(op[1])) out.println(((ChannelSftp.LsEntry) one).getFilename());
        }
        default -> throw new IllegalArgumentException(op[0]);
      }
    }
  }

  /** JSch takes the names of get and rm for patterns. */
  static String quoted(String path) {
    return path.replaceAll("([\\\\*?])", "\\\\$1");
  }

  record Answers(String code) implements UserInfo, UIKeyboardInteractive {
    public String[] promptKeyboardInteractive(String to, String name, String text, String[] prompts, boolean[] echo) {
      String[] answers = new String[prompts.length];
      java.util.Arrays.fill(answers, code);
      return answers;
    }
    public String getPassphrase() { return null; }
    public String getPassword() { return null; }
    public boolean promptPassword(String message) { return false; }
    public boolean promptPassphrase(String message) { return false; }
    public boolean promptYesNo(String message) { return false; }
    public void showMessage(String message) { System.err.println(message); }
  }
}
