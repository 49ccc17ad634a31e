// Owns: typing the pages of the banks' handbook that are about other programs than OpenSSH (docs/banks).

/** The pages that `npm run interop` types. */
export const typedElsewhere: readonly string[] = [];
