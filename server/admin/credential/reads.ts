// Owns: the handlers of what operators may read about credentials.
import type { credentialOperations } from '../../rpc/operators/credential.ts';
import { fitting } from '../reading/fitting.ts';
import { requireCustomerNamed } from '../reading/names.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { listCredentials, staleCredentials } from './credential-queries.ts';
import { dormantMs, planFor, showCredential } from './credential-reports.ts';

export const credentialReads = ({ config, read }: Reading): Reads<typeof credentialOperations> => ({
  'credential.list': async (filter) =>
    fitting(
      'credentials',
      await read(async (tx) => {
        await requireCustomerNamed(tx, filter.customer);
        return listCredentials(tx, dormantMs(config.credentials), filter);
      }),
    ),
  'credential.show': ({ fingerprint }) => read((tx) => showCredential(tx, config.credentials, fingerprint)),
  'credential.stale': async () => {
    const { warnDays, dayMs } = config.credentials;
    return fitting(
      'credentials',
      await read((tx) => staleCredentials(tx, dormantMs(config.credentials), warnDays * dayMs)),
    );
  },
  'credential.plan': async (params) => {
    const { credentials, ...sums } = await read((tx) => planFor(tx, config.credentials, params));
    return { ...sums, ...fitting('credentials', credentials) };
  },
});
