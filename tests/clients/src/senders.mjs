// Users who send, edit and delete until told to stop, and the ledger of what they said.

import assert from 'node:assert/strict'
import { DELETE, EDIT, SEND } from './documents.mjs'
import { uuid } from './api.mjs'

/** What was said: message id -> the body of each version, the last one null once deleted. */
export class Ledger {
  #said = new Map()
  /** Sends that were repeated after they had been done. */
  duplicates = 0

  get sent() {
    return [...this.#said.keys()]
  }

  /** Every body that a message may be shown with. */
  bodies(id) {
    return this.#said.get(id)
  }

  said(id, version, body) {
    if (!this.#said.has(id)) this.#said.set(id, new Map())
    this.#said.get(id).set(version, body)
  }
}

/** One user's messages in one room: mostly new ones, some edits, some deletions. `ask` repeats until it is answered. */
export class Sender {
  #ask
  #roomId
  #chance
  #ledger
  #own = []
  #count = 0

  constructor(ask, roomId, chance, ledger) {
    this.#ask = ask
    this.#roomId = roomId
    this.#chance = chance
    this.#ledger = ledger
  }

  /** Goes on until `stop()` is true. */
  async run(stop) {
    while (!stop()) await this.step()
  }

  async step() {
    const own = this.#own.length && this.#chance.oneIn(4) ? this.#own.splice(this.#chance.below(this.#own.length), 1)[0] : null
    if (!own) return this.send()
    return this.#chance.oneIn(3) ? this.#delete(own) : this.#edit(own)
  }

  async send() {
    const id = uuid()
    const body = this.#words()
    this.#ledger.said(id, 1, body)
    const { sendMessage } = await this.#ask(SEND, { input: { id, roomId: this.#roomId, body } })
    assert.equal(sendMessage.message.id, id)
    assert.equal(sendMessage.message.body, body)
    if (sendMessage.duplicate) this.#ledger.duplicates += 1
    this.#own.push({ id, version: 1 })
    return id
  }

  async #edit(own) {
    const body = this.#words()
    const version = own.version + 1
    this.#ledger.said(own.id, version, body)
    const { editMessage } = await this.#ask(EDIT, { input: { messageId: own.id, body } })
    assert.deepEqual([editMessage.message.version, editMessage.message.body], [version, body], 'an edit is one edit')
    this.#own.push({ id: own.id, version })
  }

  async #delete(own) {
    this.#ledger.said(own.id, 'deleted', null)
    const { deleteMessage } = await this.#ask(DELETE, { input: { messageId: own.id } })
    assert.equal(deleteMessage.message.body, null)
  }

  /** A body of 1 to 400 characters, some of them outside ASCII. */
  #words() {
    this.#count += 1
    return `${this.#count} ` + this.#chance.of(['é', 'x', '語', '🦀', '"\\']).repeat(1 + this.#chance.below(100))
  }
}
