// Owns: what the use cases of every folder of the warden receive.
// Must never: hold what another folder makes, except the keys: a use case that needs sessions or charges names them in
// a type of its own, such as `Charging`; or hand on the whole configuration, which has connection strings and more that
// no use case needs.
import { type Config, type EdgeConfig, type Limits, type Paths, runtimePaths } from '../../config/config.ts';
import type { CredentialAges } from '../../config/credential-ages.ts';
import type { BudgetDefaults } from '../../config/default-budgets.ts';
import type { Shares } from '../../config/shares.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import type { KeyRing } from '../keys/key-ring.ts';

/** The parts of the configuration by which use cases decide. */
type Settings = {
  readonly limits: Limits;
  readonly paths: Paths;
  readonly ages: CredentialAges;
  /** What every scope may use from its creation on. */
  readonly budgets: BudgetDefaults;
  readonly edges: readonly EdgeConfig[];
  readonly shares: Shares['warden'];
  /** The text that every client is shown before it logs in. */
  readonly banner: string;
  /** Whether this is the demo world. */
  readonly isDemo: boolean;
};

export type Warden = Settings & {
  readonly log: Logger;
  readonly database: Database;
  readonly keys: KeyRing;
  /** The public host keys as lines of a known_hosts file, without the host. */
  readonly hostKeyLines: readonly string[];
};

export const settingsOf = (config: Config): Settings => ({
  limits: config.limits,
  paths: runtimePaths(config),
  ages: config.credentials,
  budgets: config.budgets,
  edges: config.edges,
  shares: config.shares.warden,
  banner: config.banner,
  isDemo: config.demo,
});
