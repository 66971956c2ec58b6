// Apollo Client 4 as docs/clients.md prints it: GraphQLWsLink for subscriptions, HttpLink for the rest.

import { CombinedGraphQLErrors, gql } from '@apollo/client'
import { printed } from '../printed.mjs'
import { closes, pings, socket } from './graphql-ws.mjs'
import { untilAnswered } from './again.mjs'

export async function open(t, places) {
  const under = await socket(t, places)
  const { apollo: client } = await printed('Apollo Client 4', places, { client: under, token: places.token })
  t.after(() => client.stop())
  const ask = (document, variables) => {
    const query = gql(document)
    return document.startsWith('mutation')
      ? client.mutate({ mutation: query, variables })
      : client.query({ query, variables, fetchPolicy: 'network-only' })
  }
  return {
    under,
    resumes: true,
    positions: pings(under),
    closes: closes(under),
    codes: error => error.errors.map(each => each.extensions.code),
    // Apollo Client 4 tells of errors with the results.
    subscribe: (query, variables, { next, error, complete }) => {
      const results = { next: result => (result.error ? error(result.error) : next(result)), error, complete }
      // Each for itself, as the recipe says.
      client.subscribe({ query: gql(query), variables, context: { queryDeduplication: false } }).subscribe(results)
    },
    // Apollo leaves repeating to RetryLink.
    ask: async (document, variables) => {
      return (await untilAnswered(() => ask(document, variables), CombinedGraphQLErrors.is)).data
    },
  }
}
