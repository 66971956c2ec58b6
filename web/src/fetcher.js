// How GraphiQL reaches the API: queries and mutations by POST, subscriptions by WebSocket.

import { parse } from 'graphql'

import { follow } from './follow.js'

/** So many events of a subscription stay on screen. */
const SHOWN_MAX = 100

/** Asks the API once. */
export async function post(path, params, headers) {
  const response = await fetch(path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json;q=0.9',
      ...headers,
    },
    body: JSON.stringify(params),
  })
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`HTTP ${response.status}: ${text.slice(0, 200)}`)
  }
}

/**
 * GraphiQL shows the latest result alone; an observable of all that came, newest first, is what a reader of a
 * stream wants to see.
 */
function observe(path, params, headers) {
  return {
    subscribe(sink) {
      let status = 'connecting'
      let received = 0
      let newestFirst = []
      const show = () => sink.next({ status, received, newestFirst })
      const stop = follow(path, headers, params, {
        status(next) {
          status = next
          show()
        },
        next(payload) {
          received += 1
          newestFirst = [payload, ...newestFirst].slice(0, SHOWN_MAX)
          show()
        },
        error(error) {
          sink.error(error)
        },
        complete() {
          status = 'ended by the server'
          show()
          sink.complete()
        },
      })
      return { unsubscribe: stop }
    },
  }
}

/**
 * The operation as it stands in the editor. GraphiQL learns its name a moment late: pressed right after a change of tabs, the
 * button still sends the name of the tab before.
 */
function operationOf({ query, operationName }) {
  try {
    const operations = parse(query).definitions.filter(({ kind }) => kind === 'OperationDefinition')
    return operations.length === 1 ? operations[0] : operations.find(({ name }) => name?.value === operationName)
  } catch {
    return undefined // The server says what is wrong with it.
  }
}

/** A fetcher for GraphiQL; `fallback` are the headers for its introspection, which it sends before its editors are there. */
export function fetcher(path, fallback) {
  return (asked, { headers } = {}) => {
    const operation = operationOf(asked)
    const params = operation ? { ...asked, operationName: operation.name?.value } : asked
    if (operation?.operation === 'subscription') return observe(path, params, headers ?? {})
    const introspects = params.operationName === 'IntrospectionQuery'
    return post(path, params, headers ?? (introspects ? fallback : {}))
  }
}
