// Owns: docs/reference/performance.md: the tables of the last reports, how they were measured, what bounds each figure,
// and what a reader can tune.
// Must never: say a figure that is not in a report, or that does not follow from a setting which the text names.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../../test/support/world.ts';
import { tableRows } from './figures.ts';
import type { Machine } from './machine.ts';
import { lastReport, type Reports, type SessionsReport, type TransfersReport } from './reports.ts';
import { sizes } from './rows.ts';

const file = join('docs', 'reference', 'performance.md');

const markdown = ([head = [], ...rows]: readonly (readonly string[])[]): string => {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map((_, i) => (i < 2 ? '---' : '---:')).join('|')}|`, ...rows.map(line)].join('\n');
};

const machineWords = ({ cores, model, memoryGib, kernel, fileSystem, node, date, commit }: Machine): string =>
  `Measured on ${date} at commit ${commit}, on a machine with ${cores} cores (${model}), ${memoryGib} GiB of memory, ` +
  `Linux ${kernel} and Node ${node}. The servers' files were on ${fileSystem}.`;

function transfersSection({ mib, rounds, cpuWords, sides, figures, proftpdMissing, machine }: TransfersReport): string {
  const missing = proftpdMissing === null ? '' : `\nProFTPD was not measured: ${proftpdMissing}.\n`;
  const kept = rounds === 1 ? 'One round was kept.' : `${rounds} rounds were kept.`;
  return `## Beside other servers

${machineWords(machine)}

${markdown(tableRows(figures, sides))}
${missing}
Each figure is the median of its rounds, with the least and the most in brackets. ${kept}
The last columns divide our median by the other server's: more than 1 is better for MiB/s and files/s, and less than 1 is better for times and processor times.

### How it was measured

- All servers run on the same machine as the client, over loopback. The client is OpenSSH's \`sftp\` with AES-128-GCM on every side. OpenSSH serves \`internal-sftp\`, and ProFTPD \`mod_sftp\`.
- The servers take turns within each round, and each round begins with another one. A first round only warms up and is thrown away.
- Our side is a whole gateway with its embedded PostgreSQL. Its budgets are as wide as they can be, its self-test is off, and deposits are delivered as soon as they are closed. Everything else is as installed: every byte is hashed, sealed and durable, and every access is on the record. The other servers do none of that; what they stored may be lost when the machine stops.
- Times are those of the session after the login, by when the client begins its next command. Rows that say so include the login.
- Processor time is that of all processes of a server, the database and processes that are over included, and was counted ${cpuWords}. It is read a quarter of a second after the client was done, so that work which a server puts off counts.
- The large file has ${mib} MiB of random bytes. A file that is downloaded was never downloaded before. The others read it from the page cache.
- Small files have 1 KiB: ${sizes.smallFiles} of them in one session, or ${sizes.filesPerSession} in each of ${sizes.sessions} sessions at the same time. A login puts one file of 4 KiB and logs out. A listing of ${sizes.names.toLocaleString('en-US')} names is repeated ${sizes.listings} times in one session.

### What bounds each figure

- **Upload of a large file.** The disk, and on few cores the processors, because the client encrypts on the same machine. The gateway answers OK when the bytes are durable, so it cannot be faster than the disk writes durably. OpenSSH and ProFTPD write into the page cache.
- **Download of a large file.** The processors: the gateway opens what it stored sealed and encrypts it for the client, and the client decrypts it.
- **Small files, one after the other.** The durable commit before each OK: a flush of the disk and the round trips to the warden and the database. A disk with a protected write cache flushes faster.
- **Small files in many sessions.** The processors of both ends: sixteen clients take a part of the machine themselves. Commits are shared by the sessions that wait at the same time.
- **Login.** The arithmetic of the key exchange and of two signatures, and what is looked up and recorded. The client takes a large part of the time itself.
- **List.** The pages of names that the edge asks for, and the client, which sorts them.
`;
}

function sessionsSection(report: SessionsReport | undefined): string {
  if (report === undefined)
    return '## Idle sessions\n\nIdle sessions were not measured yet; `npm run bench:sessions -- 2000 --write` does.\n';
  const { machine, sessions, mibPerSession, idleCpuPercent, restCpuPercent, restMib, mib, idleSeconds } = report;
  return `## Idle sessions

${machineWords(machine)}

${markdown([
  ['', 'unit', 'without a session', `with ${sessions.toLocaleString('en-US')} sessions`],
  ['memory of all processes', 'MiB', restMib.toFixed(0), `${mib.toFixed(0)} (${mibPerSession.toFixed(3)} a session)`],
  ['processor time', '% of one core', restCpuPercent.toFixed(1), idleCpuPercent.toFixed(1)],
])}

The sessions are logged in, have SFTP open, and say nothing. Memory is the sum of \`Pss_Anon\` and \`Pss_Shmem\` over all processes of the gateway: pages that several of them share count once, and pages of program files and buffers of the kernel's sockets are left out. The figure for a session is the growth of those processes that grew, because a process that gave back memory of earlier work says nothing about sessions. Processor time was measured for ${idleSeconds} s after all had logged in, with the self-test as installed. The limits of sessions and connections were raised by configuration where the number needed it.
What bounds the number of sessions: \`limits.connectionsMax\` of each edge, the \`sessions\` of the budgets, \`warden.sessions\` in the [table of shares](../operations/configuration.md#shares), and the open files of an edge's process (one for each connection).
`;
}

const tuning = `## Over a long distance

A connection carries at most one window for each round trip, whatever the server is. Over 80 ms, a window of 4 MiB makes 50 MiB/s, and one of 2 MiB makes 25 MiB/s.

- **Uploads** are bounded by the send buffer of the client's TCP. Linux lets it grow to the third value of \`net.ipv4.tcp_wmem\`, which is 4 MiB by default. The client's administrator can raise it: \`sysctl -w net.ipv4.tcp_wmem="4096 16384 33554432"\`.
- **Downloads** by OpenSSH's client are bounded by the window of 2 MiB that it grants on its channel. It has no setting for that.
- **Parallel transfers** help in both directions: every connection has windows of its own. An account may have 16 sessions at the same time by default ([budgets](../operations/budgets.md)).
`;

export function performanceDocument({ transfers, sessions }: Partial<Reports>): string {
  return `# Performance

This file is made by \`npm run bench -- --write\` and \`npm run bench:sessions -- 2000 --write\`, each of which takes the last figures of the other. Do not edit it. The same machine gives other figures when something else runs on it, so compare columns, and not runs.

${transfers === undefined ? '## Beside other servers\n\nNothing was measured yet.\n' : transfersSection(transfers)}
${sessionsSection(sessions)}
${tuning}`;
}

/** Writes the document from the last reports of this clone. Returns its path below the clone. */
export function writePerformance(): string {
  const [transfers, sessions] = [lastReport('transfers'), lastReport('sessions')];
  const reports = { ...(transfers && { transfers }), ...(sessions && { sessions }) };
  writeFileSync(join(project, file), performanceDocument(reports));
  return file;
}
