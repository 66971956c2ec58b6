// Requests over plain HTTP, repeated until they are answered: what a test does besides the client under test.

import { randomBytes } from 'node:crypto'

/** A UUIDv7 in canonical lower case: what a client makes before it sends. */
export function uuid() {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Date.now(), 0, 6)
  bytes[6] = (bytes[6] & 0x0f) | 0x70
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** One request, one answer; throws where there is none, or once `signal` says so. */
export async function post(url, token, query, variables = {}, signal = AbortSignal.timeout(20_000)) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query, variables }),
    signal,
  })
  const text = await answer.text()
  if (!text.startsWith('{')) throw new Refused([{ message: `status ${answer.status}, and no JSON: ${text.slice(0, 200)}` }])
  return { status: answer.status, ...JSON.parse(text) }
}

/** A refusal, with its code. */
export class Refused extends Error {
  constructor(errors) {
    super(`${errors[0].extensions?.code}: ${errors[0].message}`)
    this.code = errors[0].extensions?.code
    this.retryable = errors[0].extensions?.retryable === true
  }
}

/** Calls that repeat themselves for as long as the network or the server is away. */
export class Api {
  #url
  #token
  #again
  /** Requests that had to be repeated. */
  repeated = 0

  /** `url()` is asked each time; `again()` settles when it is worth another try. */
  constructor(url, token, again = () => Promise.resolve()) {
    this.#url = url
    this.#token = token
    this.#again = again
  }

  async ask(query, variables) {
    const deadline = Date.now() + 60_000
    for (;;) {
      const answer = await post(this.#url(), this.#token, query, variables).catch(error => ({ error }))
      if (answer.error instanceof Refused) throw answer.error
      if (answer.data && !answer.errors) return answer.data
      const refused = answer.errors && new Refused(answer.errors)
      if (refused && !refused.retryable) throw refused
      if (Date.now() > deadline) throw refused ?? answer.error
      this.repeated += 1
      await new Promise(resolve => setTimeout(resolve, 5))
      await this.#again()
    }
  }
}
