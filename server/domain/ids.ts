// Owns: the branded identifiers of the system. Where an identifier is meant, no bare string crosses a function
// boundary.
// Must never: generate identifiers, because randomness is I/O. Callers use `crypto.randomUUID()` and brand the result
// here.

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
/** The name of the content of one version. A content belongs to one version only (ARCHITECTURE.md, invariant 1). */
export type ContentId = Id<'content'>;
/** The name of one sealed object in the store: 32 random lower-case hexadecimal digits. */
export type ObjectId = Id<'object'>;
export type CustomerKeyId = Id<'customer-key'>;
/** The name of one edge node, such as `partner-1`. */
export type NodeName = Id<'node'>;

/**
 * Brands a string that is trusted to hold an identifier of this kind: a column of the database, or a parameter that was
 * validated.
 */
export function idOf<T extends Id<string>>(value: string): T {
  return value as T;
}

export type Plane = 'partner' | 'internal';
export type AccountKind = 'person' | 'machine';
export type Direction = 'deposit' | 'collect';
/**
 * What a right allows in one folder. `list` includes stat; `write` includes renaming and removing what is not published
 * yet; `done` lets an account withdraw a file for itself, and for nobody else.
 */
export type Verb = 'list' | 'read' | 'write' | 'remove' | 'done';
export type PublishRule = 'on-close' | 'on-rename' | 'on-marker';
