// A TCP proxy that forwards, and cuts a connection at the byte it was told to.

import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { Watched } from './wait.mjs'

/**
 * Where a connection is to be cut: after so many bytes towards the client (`down`) or the server (`up`), and `how`:
 * `reset` (RST), `end` (FIN) or a function that cuts it by other means, such as killing the server.
 */
const UNCUT = { down: Infinity, up: Infinity, how: 'end' }

export class Proxy extends Watched {
  #listener
  #open = new Set()
  #pairs = new Set()
  #refusing = false
  /** Connections cut so far. */
  cuts = 0
  /** Asked for each new connection. */
  plan = () => UNCUT

  /** Listens in front of `target()`, a port that may change. */
  static async listen(t, target) {
    const proxy = new Proxy()
    proxy.#listener = createServer(client => proxy.#join(client, target()))
    proxy.#listener.listen(0, '127.0.0.1')
    await once(proxy.#listener, 'listening')
    t.after(() => proxy.#close())
    return proxy
  }

  get ws() {
    return `ws://127.0.0.1:${this.#listener.address().port}/graphql`
  }

  get http() {
    return `http://127.0.0.1:${this.#listener.address().port}/graphql`
  }

  /** Cuts every connection and lets none through until `admit`. */
  refuse() {
    this.#refusing = true
    for (const cut of this.#open) cut()
  }

  /** Nothing more is carried on the connections that there are, and nobody is told. New ones are carried. */
  silence() {
    for (const pair of this.#pairs) for (const socket of pair) socket.pause()
  }

  /** Lets connections through again. */
  admit() {
    this.#refusing = false
    this.changed()
  }

  /** Settles when connections are let through. */
  admitting() {
    return this.until(() => !this.#refusing, () => 'the proxy refuses')
  }

  #join(client, port) {
    if (this.#refusing) return client.resetAndDestroy()
    const plan = this.plan()
    const server = connect({ port, host: '127.0.0.1', noDelay: true })
    client.setNoDelay(true)
    const pair = [client, server]
    this.#pairs.add(pair)
    const end = how => {
      this.#open.delete(end)
      for (const socket of pair) how === 'reset' ? socket.resetAndDestroy() : socket.destroy()
    }
    let counted = false
    const cut = () => {
      if (counted) return
      counted = true
      this.cuts += 1
      if (typeof plan.how === 'function') plan.how()
      else end(plan.how)
      this.changed()
    }
    this.#open.add(end)
    for (const [from, to, limit] of [[server, client, plan.down], [client, server, plan.up]]) {
      forward(from, to, limit, cut)
      from.on('end', () => to.end())
      from.on('error', () => end())
      from.on('close', () => {
        this.#open.delete(end)
        this.#pairs.delete(pair)
      })
    }
  }

  #close() {
    this.#listener.close()
    for (const end of this.#open) end()
  }
}

/** Copies `limit` bytes, no faster than they are taken, then cuts. */
function forward(from, to, limit, cut) {
  let left = limit
  from.on('data', chunk => {
    if (left <= 0) return
    const part = chunk.length < left ? chunk : chunk.subarray(0, left)
    left -= part.length
    const taken = to.write(part, () => left <= 0 && cut())
    if (!taken) {
      from.pause()
      to.once('drain', () => from.resume())
    }
  })
}
