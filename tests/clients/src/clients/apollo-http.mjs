// Apollo Client 4 over HTTP as docs/clients.md prints it: multipart subscriptions. The rest goes by fetch.

import { gql } from '@apollo/client'
import { Api } from '../api.mjs'
import { printed } from '../printed.mjs'
import { watched } from './watched.mjs'

export async function open(t, places) {
  // What is followed is what is cut.
  const http = places.ws.replace(/^ws:/, 'http:')
  const scope = {
    token: places.token,
    watched: await watched(places),
    // The recipe waits for 1 s.
    setTimeout: begin => setTimeout(() => places.online().then(begin), 5),
  }
  const { follow } = await printed('Apollo Client 4 over HTTP', { ...places, http }, scope)
  const api = () => new Api(() => places.http, places.token(), places.online)
  return {
    resumes: false,
    codes: error => error.errors.map(each => each.extensions.code),
    subscribe: (query, variables, sink) => t.after(follow(gql(query), variables, sink)),
    ask: (query, variables) => api().ask(query, variables),
  }
}
