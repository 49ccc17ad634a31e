// Owns: the entrance of the verifier for other programs: what they may use of it, with its types.
// Must never: run anything when it is imported.

/**
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./known.js').Base} Base
 * @typedef {import('./known.js').Known} Known
 * @typedef {import('./note.js').Note} Note
 * @typedef {import('./note.js').VerifierKey} VerifierKey
 * @typedef {import('./record.js').Report} Report
 * @typedef {import('./record.js').Verdict} Verdict
 * @typedef {import('./slice.js').SliceReport} SliceReport
 * @typedef {import('./witness.js').Loss} Loss
 */

export { leafOfShown, parseShown } from './entry.js';
export { firstToName, isJunk } from './findings.js';
export { fromBase64, fromHex, leafHash, nodeHash, sha256 } from './hash.js';
export { parseStrictly } from './json.js';
export { proveKnown } from './known.js';
export { lossText } from './losses.js';
export { Frontier, verifyAuditPath } from './merkle.js';
export { hasKeyForm, parseNote, parseVerifierKey, requireOneInstallation, verifyNote } from './note.js';
export { Verification } from './record.js';
export { recordFindingsText, recordText, sliceText } from './report.js';
export { SliceVerification } from './slice.js';
export { verifyRecord, verifySince, verifySlice, verifyWhole } from './verify.js';
export { Witness } from './witness.js';
export { readWitness } from './witness-files.js';
