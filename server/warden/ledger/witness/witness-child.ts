// Owns: the process of one file witness: it does the calls on the directory, one after the other, as
// `witness-process.ts` asks for them.
// Must never: outlive the warden, or end by a signal that was meant for the warden.
import { held } from '../../../domain/detached.ts';
import { type Mark, WitnessDirectory } from './witness-directory.ts';

export type Question =
  | { readonly op: 'newest'; readonly key: string | undefined }
  | { readonly op: 'remembered'; readonly mark: Mark }
  | { readonly op: 'keep'; readonly note: string; readonly mark: Mark | undefined; readonly isRequired: boolean }
  | { readonly op: 'close' };
export type Asked = { readonly id: number; readonly question: Question };
export type Answered = { readonly id: number } & ({ readonly value: unknown } | { readonly fault: string });

const directory = new WitnessDirectory(process.argv[2] ?? '');

function answer(question: Question): unknown {
  switch (question.op) {
    case 'newest':
      return directory.newest(question.key);
    case 'remembered':
      return directory.remembered(question.mark);
    case 'keep':
      return directory.keep(question.note, question.mark, question.isRequired);
    case 'close':
      return directory.close();
  }
}

let before: Promise<void> = Promise.resolve();

async function work({ id, question }: Asked): Promise<void> {
  let answered: Answered;
  try {
    answered = { id, value: (await answer(question)) ?? null };
  } catch (error) {
    answered = { id, fault: error instanceof Error ? error.message : 'an unknown fault' };
  }
  process.send?.(answered);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', (asked: Asked) => {
  before = held(before.then(() => work(asked)));
});
