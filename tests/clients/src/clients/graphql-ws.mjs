// graphql-ws with the recipe that docs/clients.md prints. Its queries and mutations travel over the socket too.

import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { printed } from '../printed.mjs'
import { Watched } from '../wait.mjs'

/** The recipe's client; Apollo and urql are given it. */
export async function socket(t, places) {
  const scope = { token: places.token, setTimeout: hurried(places) }
  const { client } = await printed('graphql-ws 6', places, scope, {
    createClient: options => createClient({ ...options, ...forTests(places) }),
  })
  t.after(() => client.dispose())
  return client
}

// Node 20 has none of its own, and Apollo's link looks for it by name. Unlike a browser's, that of `ws` makes an error of being
// closed while it connects, which brings Node down if nobody listens.
globalThis.WebSocket ??= class extends WebSocket {
  constructor(...args) {
    super(...args)
    this.on('error', () => {})
  }
}

/** The recipe's timers, as much sooner as a test cannot wait for. */
export const hurried = ({ hurry = 1 }) => (then, ms) => setTimeout(then, ms / hurry)

const forTests = ({ online, keepAlive, webSocketImpl }) => ({
  ...(webSocketImpl && { webSocketImpl }),
  ...(keepAlive && { keepAlive }),
  // The default waits 1 s and more; 200 cuts would take 10 minutes.
  retryWait: async () => {
    await new Promise(resolve => setTimeout(resolve, 5))
    await online()
  },
})

/** Waits for a ping whose positions are as wanted. */
export function pings(client) {
  const told = new Watched()
  let last = []
  client.on('ping', (received, payload) => {
    if (!received || !payload?.resume) return
    last = Object.values(payload.resume)
    told.changed()
  })
  return (wanted, what) => told.until(() => wanted(last), () => `${what}: the last ping said ${JSON.stringify(last)}`)
}

/** The codes that its sockets were closed with. */
export function closes(client) {
  const codes = []
  client.on('closed', event => codes.push(event.code))
  return codes
}

export async function open(t, places) {
  const client = await socket(t, places)
  return {
    under: client,
    resumes: true,
    positions: pings(client),
    closes: closes(client),
    codes: errors => errors.map(error => error.extensions.code),
    subscribe: (query, variables, sink) => client.subscribe({ query, variables }, sink),
    ask: (query, variables) => {
      return new Promise((resolve, reject) => {
        const next = ({ data, errors }) => (errors ? reject(errors) : resolve(data))
        const sink = { next, error: reject, complete() {} }
        client.subscribe({ query, variables }, sink)
      })
    },
  }
}
