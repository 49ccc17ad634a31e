// Owns: writing docs/reference/cofferctl.md: `npm run reference`.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verbReference } from './verbs.ts';

writeFileSync(join(import.meta.dirname, '..', '..', 'docs', 'reference', 'cofferctl.md'), verbReference());
