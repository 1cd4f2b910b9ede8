// The latents of image i, as gan-batch draws them: block b of a seed is NumPy's
// RandomState(Philox(key=[seed, b], counter=[0, 0, stream, 0])).standard_normal((1024, length)), as float32.
//
// Philox4x64-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. JavaScript has no fast
// integers of 64 bits, so each is two of 32, the high one first.
'use strict';

const BLOCK_SIZE = 1024;
const TWO_32 = 2 ** 32;
const MULTIPLIERS = [[0xd2e7470e, 0xe14c6c93], [0xca5a8263, 0x95121157]];
const KEY_STEPS = [[0x9e3779b9, 0x7f4a7c15], [0xbb67ae85, 0x84caa73b]];

/** The high half of the product of two whole numbers below 2³². */
function highOf(a, b) {
  const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  return a1 * b1 + (middle >>> 16) + ((a0 * b1 + (middle & 0xffff)) >>> 16);
}

/** All 128 bits of the product of two numbers of 64 bits, into `product`, the highest 32 first. */
function multiply(high, low, [otherHigh, otherLow], product) {
  product[3] = Math.imul(low, otherLow);
  const second = highOf(low, otherLow) + (Math.imul(low, otherHigh) >>> 0) + (Math.imul(high, otherLow) >>> 0);
  product[2] = second;
  const third = highOf(low, otherHigh) + highOf(high, otherLow) + (Math.imul(high, otherHigh) >>> 0)
    + Math.floor(second / TWO_32);
  product[1] = third;
  product[0] = highOf(high, otherHigh) + Math.floor(third / TWO_32);
}

/** A function that gives the next number of 64 bits of the stream, as [high, low]; the array is the same each time. */
function philox(seed, block, stream) {
  const halves = (value) => [Number(BigInt(value) >> 32n), Number(BigInt(value) & 0xffffffffn)];
  const counter = new Uint32Array([0, 0, 0, 0, ...halves(stream), 0, 0]);
  const start = new Uint32Array([...halves(seed), ...halves(block)]);
  const key = new Uint32Array(4), x = new Uint32Array(8);
  const one = new Uint32Array(4), two = new Uint32Array(4), next = [0, 0];
  let used = 4;

  function refill() {
    if (++counter[1] === 0) counter[0] += 1; // the first two words of 64 bits are never used up
    x.set(counter);
    key.set(start);
    for (let round = 0; round < 10; round++) {
      multiply(x[0], x[1], MULTIPLIERS[0], one);
      multiply(x[4], x[5], MULTIPLIERS[1], two);
      x[0] = two[0] ^ x[2] ^ key[0];
      x[1] = two[1] ^ x[3] ^ key[1];
      x[4] = one[0] ^ x[6] ^ key[2];
      x[5] = one[1] ^ x[7] ^ key[3];
      x[2] = two[2];
      x[3] = two[3];
      x[6] = one[2];
      x[7] = one[3];
      for (let word = 0; word < 2; word++) {
        const low = key[2 * word + 1] + KEY_STEPS[word][1];
        key[2 * word + 1] = low;
        key[2 * word] += KEY_STEPS[word][0] + (low >= TWO_32 ? 1 : 0);
      }
    }
    used = 0;
  }

  return () => {
    if (used === 4) refill();
    next[0] = x[2 * used];
    next[1] = x[2 * used + 1];
    used += 1;
    return next;
  };
}

/** Float32Array of the first `rows` × `length` standard normal numbers of a block. Seed and stream may be BigInt. */
function latentBlock(seed, block, length, stream = 0, rows = BLOCK_SIZE) {
  const bits = philox(seed, block, stream);
  const uniform = () => {
    const [high, low] = bits();
    return (high * 2 ** 21 + (low >>> 11)) * 2 ** -53;
  };
  const normals = new Float32Array(rows * length);
  // Marsaglia's polar method, as NumPy's RandomState has it: the second of each pair comes first.
  for (let at = 0; at < normals.length; at += 2) {
    let one, two, square;
    do {
      one = 2 * uniform() - 1;
      two = 2 * uniform() - 1;
      square = one * one + two * two;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    normals[at] = factor * two;
    if (at + 1 < normals.length) normals[at + 1] = factor * one;
  }
  return normals;
}

const keptBlocks = new Map();

/** The latent of image `index`: Float32Array of `length`. The last blocks are kept. */
function latentOf(seed, index, length, stream = 0) {
  const block = Math.floor(index / BLOCK_SIZE), row = index % BLOCK_SIZE;
  const name = `${seed} ${block} ${length} ${stream}`;
  if (!keptBlocks.has(name)) {
    if (keptBlocks.size >= 8) keptBlocks.delete(keptBlocks.keys().next().value);
    keptBlocks.set(name, latentBlock(seed, block, length, stream));
  }
  return keptBlocks.get(name).slice(row * length, (row + 1) * length);
}
