// Owns: the error for a command line that is not valid.
import { CofferdamError } from '../../server/domain/errors.ts';

export const invalid = (text: string): CofferdamError =>
  new CofferdamError('invalid', `${text}. Nothing was done; see cofferctl --help`);
