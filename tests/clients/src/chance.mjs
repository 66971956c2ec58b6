// Seeded randomness: the seed is printed, and SEED=… plays it again.

export const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32)) >>> 0

/** A stream of numbers in [0, 1) of its own for each purpose, so that one use does not shift another (mulberry32). */
export function chance(purpose) {
  let state = [...purpose].reduce((hash, char) => Math.imul(hash ^ char.codePointAt(0), 16777619), seed ^ 2166136261)
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    /** A whole number below `limit`. */
    below: limit => Math.floor(next() * limit),
    /** True once in `n` on average. */
    oneIn: n => next() * n < 1,
    /** One of these. */
    of: list => list[Math.floor(next() * list.length)],
  }
}
