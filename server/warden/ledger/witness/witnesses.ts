// Owns: making the witnesses of a configuration.
import type { LedgerConfig, WitnessConfig } from '../../../config/ledger-settings.ts';
import { FileWitness } from './file-witness.ts';
import { HttpsWitness } from './https-witness.ts';
import { SyslogWitness } from './syslog-witness.ts';
import type { Witness } from './witness.ts';

function createWitness(config: WitnessConfig): Witness {
  switch (config.type) {
    case 'file':
      return new FileWitness(config.name, config.isRequired, config.directory);
    case 'https':
      return new HttpsWitness(config);
    case 'syslog':
      return new SyslogWitness(config.name, config.destination);
  }
}

export const createWitnesses = (config: LedgerConfig): readonly Witness[] => config.witnesses.map(createWitness);
