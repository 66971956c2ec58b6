// The server's own log, and what a subscription made of it.

import assert from 'node:assert/strict'
import { CHANGES } from './documents.mjs'
import { seed } from './chance.mjs'
import { Watched } from './wait.mjs'

/** Everything after this cursor, page by page. */
export async function readLog(api, after) {
  const events = []
  for (;;) {
    const { changes } = await api.ask(CHANGES, { after })
    assert.equal(changes.reset, false, 'the log honours its own cursor')
    events.push(...changes.events)
    if (!changes.hasMore) return events
    after = changes.cursor
  }
}

/** What one subscription delivered, in the order of arrival. */
export class Stream extends Watched {
  name
  events = []
  #marks = []
  #position = ''

  constructor(name) {
    super()
    this.name = name
  }

  /** Takes a `next` payload of `events` or `messageSent`. */
  take({ data, errors, extensions }) {
    if (errors) return this.fail(errors)
    const item = data.events ?? { __typename: 'MessageSent', cursor: data.messageSent.cursor, message: data.messageSent }
    const cursor = extensions?.cursor
    if (cursor !== item.cursor) this.fail(`extensions.cursor is ${cursor} beside the event at ${item.cursor}`)
    if (item.__typename === 'CaughtUp') this.#marks.push({ cursor, before: this.events.length })
    else this.events.push(item)
    this.#position = cursor
    this.changed()
  }

  /** The stream must not end. */
  fail(error) {
    // A CloseEvent shows nothing by itself.
    const { message, code, reason } = error ?? {}
    this.failed(new Error(`${this.name} ended: ${JSON.stringify(message ?? (code ? { code, reason } : error))}`))
  }

  /** How often the server said that the replay is over. */
  get caughtUp() {
    return this.#marks.length
  }

  /** Settles once everything up to this cursor has come. */
  reaches(cursor) {
    return this.until(
      () => this.#position >= cursor,
      () => `${this.name}: ${this.events.length} events, the last at ${this.#position}; waiting for ${cursor}; SEED=${seed}`,
    )
  }

  /** Each event once, in order; and CaughtUp at its place between them. */
  mustBe(log) {
    const delivered = this.events.map(told)
    const expected = log.map(told)
    const at = delivered.findIndex((event, index) => event !== expected[index])
    const first = at >= 0 ? at : delivered.length
    if (at >= 0 || delivered.length !== expected.length) {
      assert.fail(
        `${this.name}: event ${first} of ${expected.length} differs (SEED=${seed})\n` +
          `  log:       ${expected[first]}\n  delivered: ${delivered[first]}${kind(delivered, expected, first)}`,
      )
    }
    for (const { cursor, before } of this.#marks) {
      const last = this.events[before - 1]?.cursor ?? ''
      const next = this.events[before]?.cursor ?? '~'
      assert.ok(last <= cursor && cursor < next, `${this.name}: CaughtUp at ${cursor} between ${last} and ${next} (SEED=${seed})`)
    }
  }

  /** Each body is one that was said, of the version that is shown or of none once deleted. */
  mustQuote(ledger) {
    for (const { cursor, message } of this.events) {
      const said = message && ledger.bodies(message.id)
      if (!said) continue
      const sound = message.body === null ? said.has('deleted') : said.get(message.version) === message.body
      assert.ok(sound, `${this.name}: body at ${cursor} is not what was said (SEED=${seed}): ${JSON.stringify(message)}`)
    }
  }
}

function told({ cursor, __typename, message }) {
  return `${cursor} ${__typename}${message ? ` ${message.id}` : ''}`
}

function kind(delivered, expected, at) {
  if (delivered[at] === undefined) return ' (missing at the end)'
  if (delivered.indexOf(delivered[at]) < at) return ' (a double)'
  const place = expected.indexOf(delivered[at])
  return place > at ? ` (${place - at} lost, or out of order)` : ' (not in the log)'
}
