// What lies between a client and the server, one way: it takes its time, and carries so much a second.

/**
 * Each way: milliseconds that every byte is on its way (`latency`), at most so many more at random (`jitter`, by `draw`), and
 * how much the line carries a second (`bytesPerSec`). Bytes stay in order.
 */
const AT_ONCE = { name: 'at once', latency: 0, jitter: 0, bytesPerSec: Infinity, draw: { below: () => 0 } }

/** A network that one does not notice, for each connection. */
export const noLinks = () => () => AT_ONCE

const BAD = [
  ['quick', 1, 5, Infinity],
  ['quick', 1, 5, Infinity],
  ['slow', 20, 40, Infinity],
  ['slow', 20, 40, Infinity],
  ['far', 150, 150, Infinity],
  ['narrow', 50, 50, 50_000],
]

/**
 * A network for each connection, as one finds them: at a desk, on the road, far away, at the edge of a cell. `draw` is seeded: see
 * chance.mjs. They are dealt like cards, so that a short ride meets each kind.
 */
export function badLinks(draw) {
  let left = []
  return () => {
    if (!left.length) left = [...BAD]
    const [[name, latency, jitter, bytesPerSec]] = left.splice(draw.below(left.length), 1)
    return { name, latency, jitter, bytesPerSec, draw }
  }
}

/** So that a narrow line is one all the time, not on average: a segment or three. */
const PIECE_BYTES = 4 * 1024
/** On its way at once, as the buffers of a mobile network are deep. */
const HELD_BYTES_MAX = 128 * 1024

/** One way of a connection: `limit` bytes, no faster than the link carries and `to` takes them; then it calls `cut`. */
export class Way {
  #from
  #to
  #cut
  #link
  #left
  #pieces = []
  #held = 0
  /** When the line has carried what is on it. */
  #free = 0
  #timer
  #isOver = false
  #isSilent = false

  constructor(from, to, limit, cut, link = AT_ONCE) {
    [this.#from, this.#to, this.#left, this.#cut, this.#link] = [from, to, limit, cut, link]
    from.on('data', chunk => this.#take(chunk))
    from.on('end', () => {
      this.#isOver = true
      this.#give()
    })
    to.on('drain', () => this.#give())
    // What `from` has said is still carried once it is gone.
    to.on('close', () => clearTimeout(this.#timer))
  }

  /** Carries nothing more. Who is paused neither hears nor sees the other end go. */
  silence() {
    this.#isSilent = true
    this.#from.pause()
  }

  /** Carries again, what waited first. */
  speak() {
    this.#isSilent = false
    this.#give()
  }

  #take(chunk) {
    const part = chunk.subarray(0, Math.min(chunk.length, this.#left))
    this.#left -= part.length
    this.#held += part.length
    const { latency, jitter, bytesPerSec, draw } = this.#link
    const arrives = performance.now() + latency + draw.below(jitter + 1)
    for (let at = 0; at < part.length; at += PIECE_BYTES) {
      const bytes = part.subarray(at, at + PIECE_BYTES)
      // In order, and behind what is on the line already.
      this.#free = Math.max(this.#free, arrives) + (bytes.length / bytesPerSec) * 1000
      this.#pieces.push({ bytes, due: this.#free })
    }
    if (this.#held >= HELD_BYTES_MAX) this.#from.pause()
    this.#give()
  }

  #give() {
    clearTimeout(this.#timer)
    if (this.#isSilent || this.#to.destroyed) return
    while (this.#pieces.length && !this.#to.writableNeedDrain && this.#pieces[0].due <= performance.now()) {
      const { bytes } = this.#pieces.shift()
      this.#held -= bytes.length
      const isLast = !this.#left && !this.#pieces.length
      this.#to.write(bytes, () => isLast && this.#cut())
    }
    if (this.#held < HELD_BYTES_MAX) this.#from.resume()
    // Where the limit has been reached, the cut is what ends it.
    if (!this.#pieces.length) this.#isOver && this.#left && this.#to.end()
    else if (!this.#to.writableNeedDrain) this.#timer = setTimeout(() => this.#give(), this.#pieces[0].due - performance.now())
  }
}
