// The offline outbox that docs/protocol.md prints, run as it stands, and an app around it that dies and comes back.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

const PAGE = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')

/** The printed `replay`; `sleep` is the application's. */
export function printedReplay(sleep) {
  const snippet = PAGE.split('<!-- recipe:outbox -->')[1]?.match(/^```js\n(.*?)^```/ms)?.[1]
  assert.match(snippet ?? '', /^export async function replay\(/m)
  return new Function('sleep', snippet.replace('export async', 'return async'))(sleep)
}

/** What is not yet known to be done, kept over the app's deaths. */
export class Disk {
  #text = '[]'

  get queue() {
    return JSON.parse(this.#text)
  }

  save(queue) {
    this.#text = JSON.stringify(queue)
  }
}

/** What a person did with no network: sends, edits and deletes of own messages, in order. */
export class Offline {
  operations = []
  #own
  #draw
  #roomId
  #uuid

  /** `own` are messages that were sent before: `{ id, version }`. */
  constructor(draw, roomId, own, uuid) {
    this.#draw = draw
    this.#roomId = roomId
    this.#own = own.map(message => ({ ...message }))
    this.#uuid = uuid
  }

  /** Does so many things. */
  act(count) {
    while (this.operations.length < count) {
      const act = this.#draw.below(10)
      const own = this.#own[this.#draw.below(this.#own.length)]
      if (act < 6) this.#send()
      else if (act < 9) this.#edit(own)
      else this.#delete(own)
    }
  }

  #send() {
    const id = this.#uuid()
    this.#own.push({ id, version: 1 })
    this.operations.push({ kind: 'send', id, input: { id, roomId: this.#roomId, body: `sent ${this.operations.length}` } })
  }

  #edit(own) {
    const body = `edited ${this.operations.length}`
    this.operations.push({ kind: 'edit', id: own.id, input: { messageId: own.id, body, expectedVersion: own.version } })
    own.version += 1
  }

  #delete(own) {
    if (this.#own.length < 2) return
    this.#own.splice(this.#own.indexOf(own), 1)
    this.operations.push({ kind: 'delete', id: own.id, input: { messageId: own.id } })
  }
}
