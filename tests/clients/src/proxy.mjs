// A bad network: a TCP proxy that is slow, unsteady or narrow, and cuts a connection at the byte it was told to.

import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { Way } from './link.mjs'
import { Watched } from './wait.mjs'

/**
 * Where a connection is to be cut: after so many bytes towards the client (`down`) or the server (`up`), and `how`:
 * `reset` (RST), `end` (FIN), `silence` (nothing more is carried either way, and nobody is told) or a function that cuts it
 * by other means, such as killing the server. And over what `link` it goes: see link.mjs.
 */
const UNCUT = { down: Infinity, up: Infinity, how: 'end' }

export class Proxy extends Watched {
  #listener
  #open = new Set()
  #ways = new Set()
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

  /** Nothing more is carried on the connections that there are, or only towards the client (`down`), and nobody is told. New ones are carried. */
  silence({ down = true } = {}) {
    for (const [towardsClient, towardsServer] of this.#ways) {
      towardsServer.silence()
      if (down) towardsClient.silence()
    }
  }

  /** The same, until what is returned is called: then the connections that there were carry what waited. */
  hold() {
    const held = [...this.#ways].flat()
    for (const way of held) way.silence()
    return () => held.forEach(way => way.speak())
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
    const end = how => {
      this.#open.delete(end)
      for (const socket of pair) how === 'reset' ? socket.resetAndDestroy() : socket.destroy()
    }
    let counted = false
    const cut = () => {
      if (counted) return
      counted = true
      this.cuts += 1
      if (typeof plan.how === 'function') {
        plan.how()
        // What was still on its way when the server died may have come only now.
        end()
      } else if (plan.how === 'silence') ways.forEach(way => way.silence())
      else end(plan.how)
      this.changed()
    }
    const ways = [new Way(server, client, plan.down, cut, plan.link), new Way(client, server, plan.up, cut, plan.link)]
    this.#open.add(end)
    this.#ways.add(ways)
    for (const socket of pair) {
      socket.on('error', () => end())
      socket.on('close', () => {
        if (pair.some(other => !other.destroyed)) return
        this.#open.delete(end)
        this.#ways.delete(ways)
      })
    }
  }

  #close() {
    this.#listener.close()
    for (const end of this.#open) end()
  }
}
