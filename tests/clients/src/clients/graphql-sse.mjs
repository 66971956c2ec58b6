// graphql-sse as docs/clients.md prints it: a response for each subscription. The rest goes by fetch.

import { createClient } from 'graphql-sse'
import { printed } from '../printed.mjs'
import { Api } from '../api.mjs'
import { following } from './following.mjs'
import { watched } from './watched.mjs'

export async function open(t, places) {
  // What is followed is what is cut.
  const http = places.ws.replace(/^ws:/, 'http:')
  let retry
  const { follow } = await printed('graphql-sse 2', { ...places, http }, await scope(places), {
    createClient: options => {
      retry = options.retry
      const client = createClient(options)
      t.after(() => client.dispose())
      return client
    },
  })
  const api = () => new Api(() => places.http, places.token(), places.online)
  return { ...following(follow), codes, retry, ask: (query, variables) => api().ask(query, variables) }
}

/** Of what fetch was refused, or of a result. */
const codes = error => (Array.isArray(error) ? error.map(each => each.extensions.code) : [error.code])

/** What the recipe leaves to the application. Its waits of 1 s and more are shortened, and end where there is a way to the server. */
export const scope = async places => ({
  token: places.token,
  watched: await watched(places),
  setTimeout: places.setTimeout ?? ((act, ms) => setTimeout(() => places.online().then(act), ms / 200)),
})
