// Owns: the long test of both verifiers: `npm run soak:verifier [records] [first]`. 500 records are 10,000 cases.
import { agree } from './two-verifiers.ts';

const [records = '500', from = '1000'] = process.argv.slice(2);
const { cases, byVerdict, faults } = await agree(Number(from), Number(records), (line) =>
  process.stdout.write(`${line}\n`),
);
process.stdout.write(
  `${JSON.stringify({ cases, ...byVerdict, faults: faults.length })}\n${faults.map((fault) => `${fault}\n`).join('')}`,
);
process.exitCode = faults.length === 0 ? 0 : 1;
