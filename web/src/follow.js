// A subscription that survives its socket: the recipe of docs/protocol.md, for a stock graphql-ws client.

import { createClient } from 'graphql-ws'

function socketUrl(path) {
  const url = new URL(path, location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}

function reasonOf(error) {
  if (error instanceof CloseEvent) {
    return new Error(`the server closed the socket: ${error.code} ${error.reason}`.trim())
  }
  return error
}

/** Follows one subscription until the function that it returns is called; `sink` has status, next, error and complete. */
export function follow(path, headers, { query, variables, operationName }, sink) {
  let resume = {}
  let stopped = false
  const tell = status => stopped || sink.status(status)
  const client = createClient({
    url: socketUrl(path),
    retryAttempts: Infinity,
    shouldRetry: () => true,
    connectionParams: () => ({ ...headers, resume }),
    on: {
      connected: () => tell('live'),
      closed: event => event.code === 1000 || tell(`connecting again (closed: ${event.code} ${event.reason})`),
      message(message) {
        const cursor = message.type === 'next' && message.payload.extensions?.cursor
        if (cursor) resume[message.id] = cursor
        if (message.type === 'complete' || message.type === 'error') delete resume[message.id]
      },
      ping(received, payload) {
        if (received && payload?.resume) resume = payload.resume
      },
    },
  })
  tell('connecting')
  const unsubscribe = client.subscribe({ query, variables, operationName }, {
    next: payload => stopped || sink.next(payload),
    error: error => stopped || sink.error(reasonOf(error)),
    complete: () => stopped || sink.complete(),
  })
  return () => {
    stopped = true
    unsubscribe()
    client.dispose()
  }
}
