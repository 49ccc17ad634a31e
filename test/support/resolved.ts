// Owns: parameters in which a test names what has another id in every run.

/** The same with `<name>` replaced by the id, or the fingerprint, of what has this name. */
export const resolved = <T>(given: T, called: (name: string) => string): T =>
  JSON.parse(JSON.stringify(given).replace(/<([^<>]+)>/g, (_text, name: string) => called(name))) as T;
