// Owns: one list of moves for each way in which an answer between edge and warden may go wrong: it meets every call of
// an upload, a name and a download.
import { type WireFault, wireFaults } from '../support/warden-wire.ts';
import { type Actor, folders, type Move, type Step, type WireCall } from './steps.ts';

const folder = (name: string, file: number): { readonly folder: number; readonly name: number } => ({
  folder: folders.findIndex((one) => one.name === name),
  name: file,
});
const by = (actor: Actor, ...steps: readonly Step[]): readonly Move[] =>
  steps.map((step) => ({ actor, slot: 0, step }));

function throughEach(fault: WireFault): readonly Move[] {
  const next = (call: WireCall): Step => ({ op: 'wire', call, fault });
  const [one, two, three] = [folder('m-close', 0), folder('m-close', 1), folder('m-rename', 2)];
  const four = folder('m-close', 3);
  const collected = folder('m-collect', 0);
  const large: Step = { op: 'write', where: 'next', size: 'large', waits: true };
  const piece: Step = { op: 'write', where: 'next', size: 'small', waits: true };
  return [
    ...by('depositor', next('upload.put'), { op: 'put', at: one, size: 'block' }),
    ...by('depositor', next('upload.offer'), { op: 'put', at: two, size: 'small' }),
    // More than is stored in one call.
    ...by('depositor', { op: 'open', at: four, how: 'truncate' }, next('upload.begin'), large, next('upload.close'), {
      op: 'close',
      waits: true,
    }),
    ...by('depositor', { op: 'open', at: four, how: 'truncate' }, large, next('upload.close'), {
      op: 'close',
      waits: true,
    }),
    // Cut in the middle of the file, and continued: its beginning is read back.
    ...by(
      'depositor',
      { op: 'open', at: two, how: 'truncate' },
      large,
      next('upload.interrupt'),
      { op: 'cut' },
      { op: 'rest', ms: 500 },
    ),
    ...by('depositor', next('upload.verify-extent'), { op: 'more', at: two, closes: true }),
    ...by('depositor', { op: 'open', at: three, how: 'truncate' }, piece, next('upload.seal-extent'), {
      op: 'fsync',
      waits: true,
    }),
    ...by('depositor', piece, { op: 'close', waits: true }, { op: 'put', at: three, size: 'small' }),
    ...by('depositor', next('tree.rename'), { op: 'rename', at: three, to: folder('m-rename', 0), replaces: false }),
    ...by('own', { op: 'put', at: collected, size: 'block' }),
    ...by('colleague', next('download.grant'), { op: 'read', at: collected }, next('download.open'), {
      op: 'read',
      at: collected,
    }),
  ];
}

/** Each refusal, loss and delay, at each of these calls. */
export const seams: readonly (readonly Move[])[] = wireFaults.map(throughEach);
