// subscriptions-transport-ws as docs/clients.md prints it: the legacy subprotocol. Its queries and mutations travel over the
// socket too.

import WebSocket from 'ws'
import { printed } from '../printed.mjs'
import { following } from './following.mjs'

const closes = []

// Taken by the client when it is loaded. Its codes are looked at here, because it tells them to nobody; and a socket that it
// gives up before it is open, as it does after a second, says so to nobody else, and is none that was closed.
globalThis.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args)
    this.on('error', () => {})
    this.on('open', () => this.on('close', code => closes.push(code)))
  }
}

export async function open(t, places) {
  closes.length = 0
  let client
  const { SubscriptionClient } = await import('subscriptions-transport-ws')
  const { haste = 1 } = places
  class Watched extends SubscriptionClient {
    constructor(url, options) {
      // It gives up after 30 s without a keep-alive.
      super(url, { ...options, timeout: 30_000 / haste })
      client = this
    }
  }
  const scope = { token: places.token, setTimeout: (act, ms) => setTimeout(act, ms / haste).unref() }
  const { follow } = await printed('subscriptions-transport-ws 0.11', places, scope, { SubscriptionClient: Watched })
  t.after(() => client.close())
  /** Settles when the connection that there is, is gone. */
  const disconnected = () => new Promise(resolve => client.onDisconnected(resolve))
  return { ...following(follow), closes, disconnected }
}
