// Owns: starting the command from its files. Whoever wants a library imports index.js.
// Must never: ask whether it is the main module: it is.
import { main } from './command.js';

await main();
