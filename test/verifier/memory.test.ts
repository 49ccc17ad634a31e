// What the verifier keeps of a long record: trees, blocks and heads, and for an entry nothing but one bit. A record of
// fifty million entries must not need more than the machine of an auditor has.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'tap';
import { parseVerifierKey, Verification, Witness } from '../../verifier/index.js';
import {
  acme,
  bank,
  bodyOf,
  common,
  emptyRecord,
  entryLine,
  type Head,
  headLine,
  headTextOf,
  leafHashOf,
  leafOfRow,
  lineOf,
  type MadeRecord,
  makeRow,
  makeSigner,
  mapRootOf,
  type Row,
  rootOf,
  sha256,
  startMs,
  type TreeState,
} from './make-record.ts';

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that are still in use after everything that can be released was released. */
function kept(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const trees = [common, acme, bank];
const perHead = 300;
const heads = 160;
const entries = perHead * heads;
const each = perHead / trees.length;

/** A tree that grows, in as many hashes as it has levels. */
class Tree {
  parts: { leaves: number; root: Buffer }[] = [];
  size = 0;

  push(leaf: Buffer): void {
    this.size += 1;
    this.parts.push({ leaves: 1, root: leaf });
    for (
      let [left, right] = this.parts.slice(-2);
      left !== undefined && left.leaves === right?.leaves;
      [left, right] = this.parts.slice(-2)
    )
      this.parts.splice(-2, 2, { leaves: left.leaves * 2, root: sha256(Buffer.of(1), left.root, right.root) });
  }

  root(): Buffer {
    return this.parts.map(({ root }) => root).reduceRight((right, left) => sha256(Buffer.of(1), left, right));
  }
}

/** The entry at a position: head after head, each with 100 entries in every tree. */
function rowAt(tree: number, position: number): Row {
  const head = Math.floor(position / each);
  return makeRow(trees[tree] ?? common, position, head * perHead + tree * each + (position % each) + 1);
}

function makeHeads(): Head[] {
  const grown = trees.map(() => new Tree());
  const secret = Buffer.alloc(32, 7);
  return Array.from({ length: heads }, (_, position) => {
    const states: TreeState[] = grown.map((tree, i) => {
      for (let j = 0; j < each; j += 1) tree.push(leafOfRow(rowAt(i, tree.size)));
      return { tree: trees[i] ?? common, size: tree.size, root: tree.root() };
    });
    const lines = states.map(lineOf).join('');
    const head = { position, at: startMs * 1000 + position, number: (position + 1) * perHead, secret, lines };
    return { ...head, mapRoot: mapRootOf(secret, states) };
  });
}

test('nothing is kept for an entry except a bit', async (t) => {
  const signer = makeSigner();
  const record: MadeRecord = { ...emptyRecord(), heads: makeHeads() };
  const root = rootOf(record.heads.map((head) => leafHashOf(Buffer.from(headTextOf(head)))));
  const witness = new Witness([parseVerifierKey(signer.verifierKey)]);
  witness.add(signer.sign(bodyOf(signer.name, heads, root, 1, startMs)), 'note', undefined);
  witness.close();
  const verification = new Verification({ witness, now: startMs, maxAgeSeconds: 600 });
  for (const head of record.heads) verification.line(JSON.parse(headLine(head)), 'head');
  const feed = (tree: number, from: number, to: number): void => {
    for (let position = from; position < to; position += 1)
      verification.line(JSON.parse(entryLine(rowAt(tree, position))), 'entry');
  };
  const size = entries / trees.length;
  feed(0, 0, size);
  feed(1, 0, 1000);
  const early = kept();
  feed(1, 1000, size);
  feed(2, 0, size);
  const late = kept();
  const { verdict, entries: read } = verification.finish();
  t.match({ verdict, read }, { verdict: 'good', read: entries });
  const perEntry = (late - early) / (entries - size - 1000);
  t.ok(perEntry < 8, `${perEntry.toFixed(2)} bytes for an entry`);
});

test('and about ten bytes for each time that a tree grew', async (t) => {
  const signer = makeSigner();
  const witness = new Witness([parseVerifierKey(signer.verifierKey)]);
  witness.close();
  const verification = new Verification({ witness, now: startMs, maxAgeSeconds: 0 });
  const secret = Buffer.alloc(32, 7);
  const many = 20_000;
  const feed = (from: number, to: number): void => {
    for (let position = from; position < to; position += 1) {
      const lines = lineOf({ tree: acme, size: position + 1, root: sha256(Buffer.from(String(position))) });
      verification.line({ head: [position, position, position + 1, secret.toString('base64'), lines] }, 'head');
    }
  };
  feed(0, 1000);
  const early = kept();
  feed(1000, many);
  const perGrowth = (kept() - early) / (many - 1000);
  t.ok(perGrowth < 24, `${perGrowth.toFixed(1)} bytes for each`);
  t.match(verification.finish(), { found: 1, heads: many, firstRow: { what: 'missing', from: 0, to: many - 1 } });
});
