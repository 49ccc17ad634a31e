// Owns: the branded identifiers of the system. A bare string never crosses a function boundary where an id is meant.
// Must never: mint ids (randomness is I/O); callers use `crypto.randomUUID()` and brand the result here.

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

export type CustomerId = Id<'customer'>;
export type AccountId = Id<'account'>;
export type CredentialId = Id<'credential'>;
export type SessionId = Id<'session'>;
export type FolderId = Id<'folder'>;
export type DirectoryId = Id<'directory'>;
export type FileId = Id<'file'>;
export type VersionId = Id<'version'>;
/** Names the bytes of one upload life; versions that continue one another share it. */
export type ContentId = Id<'content'>;
/** Names one sealed object in the store: 32 lower-case hexadecimal digits, random. */
export type ObjectId = Id<'object'>;
export type CustomerKeyId = Id<'customer-key'>;
export type OperatorId = Id<'operator'>;
export type CommandId = Id<'command'>;
/** Name of one edge node, e.g. `partner-1`. */
export type NodeName = Id<'node'>;

/** Brands a string whose origin is trusted to hold this kind of id (a database row, a validated rpc parameter). */
export function idOf<T extends Id<string>>(value: string): T {
  return value as T;
}

export type Plane = 'partner' | 'internal';
export type AccountKind = 'person' | 'machine';
export type Direction = 'deposit' | 'collect';
/** What a right allows in one folder. `list` covers stat; `write` covers rename and removal of what is not yet published. */
export type Verb = 'list' | 'read' | 'write' | 'remove';
export type PublishRule = 'on-close' | 'on-rename' | 'on-marker';
