// Waiting for events, with a deadline that says what did not come.

/** The promise's value, or an error with `what()` after `ms`. */
export async function within(ms, promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()} (waited ${ms} ms)`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** A value that changes, and those who wait until it is as they want it. */
export class Watched {
  #waiting = new Set()

  /** Tells those who wait that something has changed. */
  changed() {
    for (const look of this.#waiting) look()
  }

  /** Ends the waits with an error. */
  failed(error) {
    for (const look of this.#waiting) look(error)
  }

  /** Settles once `holds()` is true; `what()` tells what did not come. */
  until(holds, what, ms = 60_000) {
    if (holds()) return Promise.resolve()
    const met = new Promise((resolve, reject) => {
      const look = error => {
        if (!error && !holds()) return
        this.#waiting.delete(look)
        error ? reject(error) : resolve()
      }
      this.#waiting.add(look)
    })
    return within(ms, met, what)
  }
}
