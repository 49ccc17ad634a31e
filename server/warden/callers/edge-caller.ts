// Owns: who an edge is that calls on an rpc socket.
import type { NodeName, Plane } from '../../domain/ids.ts';

/**
 * The edge that calls on an rpc socket. Node and plane follow from the socket itself, never from what the caller says.
 */
export type EdgeCaller = { readonly node: NodeName; readonly plane: Plane };
