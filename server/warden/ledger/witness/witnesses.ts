// Owns: the witnesses of a configuration.
import type { LedgerConfig, WitnessConfig } from '../../../config/ledger-settings.ts';
import { CofferdamError } from '../../../domain/errors.ts';
import { FileWitness } from './file-witness.ts';
import type { Witness } from './witness.ts';

function createWitness(config: WitnessConfig): Witness {
  switch (config.type) {
    case 'file':
      return new FileWitness(config.name, config.isRequired, config.directory);
    default:
      throw new CofferdamError('configuration', `the witness ${config.name} is of a type that this version does not have`);
  }
}

export const createWitnesses = (config: LedgerConfig): readonly Witness[] => config.witnesses.map(createWitness);
