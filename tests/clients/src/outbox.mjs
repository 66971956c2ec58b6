// The offline outbox that docs/protocol.md prints, run as it stands, and an app around it that dies and comes back.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Api, post, uuid } from './api.mjs'
import { CREATE_ROOM, DELETE, EDIT, HEAD, SEND } from './documents.mjs'
import { readLog } from './log.mjs'
import { Server, token } from './server.mjs'
import { within } from './wait.mjs'

const PAGE = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')

/** What each kind of operation is asked with. */
export const DOCUMENTS = { send: SEND, edit: EDIT, delete: DELETE }

/** The printed `outbox`; `sleep` is the application's, and the clock is that of its process: it holds up no end. */
export function printedOutbox(sleep, clock = { setTimeout: (...args) => setTimeout(...args).unref(), clearTimeout }) {
  const snippet = PAGE.split('<!-- recipe:outbox -->')[1]?.match(/^```js\n(.*?)^```/ms)?.[1]
  assert.match(snippet ?? '', /^export function outbox\(/m)
  const scope = { sleep, ...clock }
  return new Function(...Object.keys(scope), snippet.replace('export function', 'return function'))(...Object.values(scope))
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

/** What the app was told of its operations. */
export class Told {
  done = []
  conflicts = []
  duplicates = 0
  unanswered = 0

  hear({ errors }) {
    const { code, retryable } = errors?.[0].extensions ?? {}
    if (code === 'CONFLICT') assert.equal(retryable, false)
    else assert.ok(!errors || retryable, `${code} is neither a conflict nor to be tried again`)
  }
}

/** The same person on another device, between the lives of the first. */
export class Elsewhere {
  edits = new Map()
  deleted = new Set()
  #api
  #draw
  #known

  constructor(api, draw, known) {
    this.#api = api
    this.#draw = draw
    this.#known = known
  }

  /** A send was answered: with the message as it is now. */
  known(id, { message, duplicate }) {
    if (this.deleted.has(id)) assert.equal(message.body, null)
    if (this.edits.has(id)) assert.ok(duplicate && message.version > 1)
    this.#known.push(id)
  }

  touched(id) {
    return this.edits.has(id) || this.deleted.has(id)
  }

  /** Edits one and deletes one - also what was said last, which may have been done without an answer. */
  async act(queue, told) {
    const next = queue[0]
    // Whether an edit in doubt has been done cannot be told apart once someone else has edited.
    const free = this.#known.filter(id => !this.touched(id) && !(next?.kind === 'edit' && next.id === id))
    if (next?.kind === 'send' && this.#draw.oneIn(2)) free.unshift(next.id)
    for (const act of ['edit', 'delete']) {
      const id = act === 'edit' ? free.shift() : free.splice(this.#draw.below(free.length), 1)[0]
      if (!id || told.done.some(operation => operation.kind === 'delete' && operation.id === id)) continue
      const input = { messageId: id, ...(act === 'edit' && { body: `elsewhere ${id}` }) }
      const done = await this.#api.ask(DOCUMENTS[act], { input }).catch(error => error)
      // It has not been sent, or has been deleted without an answer.
      if (done.code) {
        assert.ok(['NOT_FOUND', 'CONFLICT'].includes(done.code), done.message)
        continue
      }
      if (act === 'edit') this.edits.set(id, told.done.length)
      else this.deleted.add(id)
    }
  }
}

/** A clock that goes on when it is told to. */
export class Clock {
  #timers = new Map()
  /** The milliseconds that each timer was set to. */
  waits = []

  setTimeout = (late, ms) => {
    this.waits.push(ms)
    this.#timers.set(this.waits.length, late)
    return this.waits.length
  }

  clearTimeout = id => this.#timers.delete(id)

  /** The timers that are still to go off. */
  get left() {
    return [...this.#timers.keys()]
  }

  /** All of them go off. */
  ring() {
    const due = [...this.#timers.values()]
    this.#timers.clear()
    for (const late of due) late()
  }
}

/** An app with an outbox in a room of its own, and what it was told. */
export class App {
  clock = new Clock()
  done = []
  refused = []
  /** The milliseconds of each pause. */
  pauses = []
  server
  #outbox = printedOutbox(async ms => void this.pauses.push(ms), this.clock)
  #api
  #roomId
  #head
  #isOver = false

  static async start(t) {
    const app = new App()
    t.after(() => { app.#isOver = true })
    app.server = await Server.start(t)
    app.#api = new Api(() => app.server.http, token('ada'))
    const { createRoom } = await app.#api.ask(CREATE_ROOM, { input: { name: 'outbox' } })
    app.#roomId = createRoom.room.id
    app.#head = (await app.#api.ask(HEAD)).head
    return app
  }

  /** So many messages that are still to be sent. */
  sends(count) {
    return Array.from({ length: count }, (_, n) => {
      const id = uuid()
      return { id, input: { id, roomId: this.#roomId, body: `said ${n}` } }
    })
  }

  /** Asks the server, over a line that is sound. */
  say = ({ input }) => post(this.server.http, token('ada'), SEND, { input })

  /** The printed `outbox` of this queue, which pauses for no time. */
  outbox(queue, ask, { ended = () => {}, save = () => {} } = {}) {
    // One that would go on for ever ends with its test.
    const asked = (...args) => (this.#isOver ? new Promise(() => {}) : ask(...args))
    const replay = this.#outbox(queue, save, asked, {
      done: ({ id }, { sendMessage }) => {
        assert.equal(sendMessage.message.id, id, 'each operation is told its own answer')
        this.done.push(id)
        ended()
      },
      refused: ({ id }) => this.refused.push(id),
    })
    return () => within(60_000, replay(), () => `the outbox does not end: ${queue.length} left, ${this.done.length} done`)
  }

  /** The ids of the messages that were sent, in the order of the log. */
  async log() {
    const log = await readLog(this.#api, this.#head)
    return log.map(({ message }) => message.id)
  }
}
