import { codeLengths } from './huffman-lengths.ts';

/**
 * Decodes the Huffman code of RFC 7541, 5.2, four bits at a time: `steps` says for each state, which
 * is an inner node of the code's tree, and each four bits where they lead and which byte they
 * complete. No code is shorter than five bits, so they complete one at most.
 */
const endOfString = 256;
const nodesMax = 256;
const stateShift = 16; // the next state
const emits = 0x100; // a byte is complete: the lowest eight bits
const ends = 0x200; // what comes after the last whole byte is padding (5.2): all ones, seven bits at most
const failed = 0x400;

const steps = makeSteps();

/** Writes what `bytes` from `from` to `to` mean into `out`; returns how long it is, or -1. */
export function decodeHuffman(
  bytes: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
): number {
  let length = 0;
  let step = ends;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at] ?? 0;
    step = steps[((step >> stateShift) << 4) | (byte >> 4)] ?? failed;
    if ((step & emits) !== 0) out[length++] = step & 0xff;
    if ((step & failed) !== 0) return -1;
    step = steps[((step >> stateShift) << 4) | (byte & 0xf)] ?? failed;
    if ((step & emits) !== 0) out[length++] = step & 0xff;
    if ((step & failed) !== 0) return -1;
  }
  return (step & ends) === 0 ? -1 : length;
}

/** The longest text that so many bytes can mean. */
export const decodedBytesMax = (bytes: number): number => Math.ceil((bytes * 8) / 5);

/** The tree: two children for each node; a symbol is written as its complement. */
function makeTree(): Int32Array {
  const tree = new Int32Array(nodesMax * 2);
  let nodes = 1;
  let code = 0;
  let length = 0;
  const symbols = codeLengths.map((_bits, symbol) => symbol);
  symbols.sort((a, b) => (codeLengths[a] ?? 0) - (codeLengths[b] ?? 0) || a - b);
  for (const symbol of symbols) {
    const bits = codeLengths[symbol] ?? 0;
    code <<= bits - length;
    length = bits;
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit -= 1) {
      const at = node * 2 + ((code >> bit) & 1);
      if (tree[at] === 0) tree[at] = nodes++;
      node = tree[at] ?? 0;
    }
    tree[node * 2 + (code & 1)] = ~symbol;
    code += 1;
  }
  return tree;
}

function makeSteps(): Uint32Array {
  const tree = makeTree();
  const padding = paddingNodes(tree);
  const made = new Uint32Array(nodesMax * 16);
  for (let state = 0; state < nodesMax; state += 1) {
    for (let bits = 0; bits < 16; bits += 1)
      made[state * 16 + bits] = walk(tree, padding, state, bits);
  }
  return made;
}

function walk(tree: Int32Array, padding: ReadonlySet<number>, state: number, bits: number): number {
  let node = state;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const next = tree[node * 2 + ((bits >> bit) & 1)] ?? 0;
    if (next >= 0) node = next;
    else if (~next === endOfString) return failed;
    else {
      emitted = emits | ~next;
      node = 0;
    }
  }
  return (node << stateShift) | emitted | (padding.has(node) ? ends : 0);
}

/** The nodes at most seven ones away from the root. */
function paddingNodes(tree: Int32Array): ReadonlySet<number> {
  const nodes = new Set([0]);
  let node = 0;
  for (let ones = 0; ones < 7; ones += 1) {
    node = tree[node * 2 + 1] ?? 0;
    nodes.add(node);
  }
  return nodes;
}
