// urql as docs/clients.md prints it: subscriptionExchange over graphql-ws, fetchExchange for the rest.

import { printed } from '../printed.mjs'
import { untilAnswered } from './again.mjs'
import { closes, pings, socket } from './graphql-ws.mjs'

export async function open(t, places) {
  const under = await socket(t, places)
  const { urql: client } = await printed('urql 5', places, { client: under, currentToken: places.token })
  const ask = async (query, variables) => {
    const method = query.startsWith('mutation') ? client.mutation : client.query
    const { data, error } = await method.call(client, query, variables, { requestPolicy: 'network-only' }).toPromise()
    if (error) throw error
    return data
  }
  return {
    resumes: true,
    positions: pings(under),
    closes: closes(under),
    codes: error => error.graphQLErrors.map(each => each.extensions.code),
    subscribe: (query, variables, sink) => {
      return client.subscription(query, variables).subscribe(({ data, error, extensions }) => {
        error ? sink.error(error) : sink.next({ data, extensions })
      })
    },
    // urql leaves repeating to its retry exchange, a package of its own.
    ask: (query, variables) => untilAnswered(() => ask(query, variables), error => error.graphQLErrors?.length > 0),
  }
}
