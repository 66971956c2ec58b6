// The `fetch` that docs/clients.md prints for streams, which fails where a line has gone silent.

import { printed } from '../printed.mjs'

/** Its 40 s come `haste` times sooner, and it goes by this `fetch`. What it still waits for when a test is over keeps nobody. */
export async function watched({ haste = 1, fetch = globalThis.fetch, ...places }) {
  const scope = { fetch, setTimeout: (act, ms) => setTimeout(act, ms / haste).unref() }
  return (await printed('Streams over HTTP', places, scope)).watched
}
