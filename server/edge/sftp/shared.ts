// Owns: what all SFTP channels of one session share, so that a session with many channels has no more than one with a
// single channel: its open handles, its grants under way, its flow, and the lines that it is told.

import type { SftpSession, WardenCalls } from '../seam/sftp-seam.ts';
import { ToldLines } from '../seam/told-lines.ts';
import { HandlePlaces } from './handles.ts';
import { Pacers } from './pacer.ts';
import { Turns } from './turns.ts';

/** The number of grants that a session may ask for at once: half of the calls that it may have under way. */
const grantsAtOnce = 32;

type Shared = {
  readonly places: HandlePlaces;
  readonly grants: Turns;
  readonly pacers: Pacers;
  readonly told: ToldLines;
};

/** Returns a function from a session to what its channels share. It is forgotten with the session. */
export function sharing(handlesMax: number): (session: SftpSession, warden: WardenCalls) => Shared {
  const bySession = new WeakMap<SftpSession, Shared>();
  return (session, warden) => {
    const shared = bySession.get(session) ?? {
      places: new HandlePlaces(handlesMax),
      grants: new Turns(grantsAtOnce),
      pacers: new Pacers(session, warden),
      told: new ToldLines(),
    };
    bySession.set(session, shared);
    return shared;
  };
}
