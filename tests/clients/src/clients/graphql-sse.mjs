// graphql-sse as docs/clients.md prints it: a response for each subscription. The rest goes by fetch.

import { createClient } from 'graphql-sse'
import { printed } from '../printed.mjs'
import { Api } from '../api.mjs'
import { following } from './following.mjs'

export async function open(t, places) {
  // What is followed is what is cut.
  const http = places.ws.replace(/^ws:/, 'http:')
  const { follow } = await printed('graphql-sse 2', { ...places, http }, { token: places.token }, {
    createClient: options => {
      const client = createClient({ ...options, ...forTests(places) })
      t.after(() => client.dispose())
      return client
    },
  })
  const api = () => new Api(() => places.http, places.token(), places.online)
  return { ...following(follow), codes, ask: (query, variables) => api().ask(query, variables) }
}

/** Of what fetch was refused, or of a result. */
const codes = error => (Array.isArray(error) ? error.map(each => each.extensions.code) : [error.code])

const forTests = ({ online }) => ({
  // The default waits 1 s and more.
  retry: async () => {
    await new Promise(resolve => setTimeout(resolve, 5))
    await online()
  },
})
