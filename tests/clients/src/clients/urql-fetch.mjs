// urql with fetchSubscriptions: its subscriptions are server-sent events. Its fetch is the one that docs/clients.md prints.

import { Client, fetchExchange } from '@urql/core'
import { untilAnswered } from './again.mjs'
import { anew } from './anew.mjs'
import { watched } from './watched.mjs'

const isRefusal = error => error.graphQLErrors?.length > 0

export async function open(t, places) {
  const { ws, token, online } = places
  const fetch = await watched(places)
  // What is followed is what is cut.
  const url = ws.replace(/^ws:/, 'http:')
  const types = []
  const client = new Client({
    url,
    preferGetMethod: false,
    fetchSubscriptions: true,
    fetchOptions: () => ({ headers: { authorization: `Bearer ${token()}` } }),
    fetch: async (...request) => {
      const answer = await fetch(...request)
      types.push(answer.headers.get('content-type'))
      return answer
    },
    exchanges: [fetchExchange],
  })
  const begin = query => (variables, { next, error, complete }) => {
    let over = false
    client.subscription(query, variables).subscribe(result => {
      if (over) return
      over = result.error !== undefined || result.hasNext === false
      if (result.error) error(result.error)
      else if (over) complete()
      else next(result)
    })
  }
  const ask = async (query, variables) => {
    const method = query.startsWith('mutation') ? client.mutation : client.query
    const { data, error } = await method.call(client, query, variables, { requestPolicy: 'network-only' }).toPromise()
    if (error) throw error
    return data
  }
  return {
    resumes: false,
    types,
    codes: error => error.graphQLErrors.map(each => each.extensions.code),
    subscribe: (query, variables, sink) => anew(t, begin(query), isRefusal, online, variables, sink),
    ask: (query, variables) => untilAnswered(() => ask(query, variables), isRefusal),
  }
}
