// Apollo Client 4 with a plain HttpLink: its subscriptions are multipart.

import { ApolloClient, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from '@apollo/client'
import { SetContextLink } from '@apollo/client/link/context'
import { untilAnswered } from './again.mjs'
import { anew } from './anew.mjs'

export async function open(t, { ws, token, online }) {
  // What is followed is what is cut.
  const url = ws.replace(/^ws:/, 'http:')
  const types = []
  const auth = new SetContextLink(({ headers }) => ({ headers: { ...headers, authorization: `Bearer ${token()}` } }))
  const watched = async (...request) => {
    const answer = await fetch(...request)
    types.push(answer.headers.get('content-type'))
    return answer
  }
  const client = new ApolloClient({ cache: new InMemoryCache(), link: auth.concat(new HttpLink({ uri: url, fetch: watched })) })
  t.after(() => client.stop())
  const begin = document => (variables, { next, error, complete }) => {
    let failed = false
    const results = {
      next: result => {
        failed = result.error !== undefined
        failed ? error(result.error) : next(result)
      },
      error,
      complete: () => failed || complete(),
    }
    client.subscribe({ query: gql(document), variables }).subscribe(results)
  }
  const ask = (document, variables) => {
    const query = gql(document)
    return document.startsWith('mutation')
      ? client.mutate({ mutation: query, variables })
      : client.query({ query, variables, fetchPolicy: 'network-only' })
  }
  return {
    resumes: false,
    types,
    codes: error => error.errors.map(each => each.extensions.code),
    subscribe: (document, variables, sink) => anew(t, begin(document), CombinedGraphQLErrors.is, online, variables, sink),
    ask: async (document, variables) => (await untilAnswered(() => ask(document, variables), CombinedGraphQLErrors.is)).data,
  }
}
