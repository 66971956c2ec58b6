// graphql-sse as docs/clients.md prints it for one connection: all that is asked goes by requests of its own, queries and mutations too,
// and all that is answered by the one stream.

import { createClient } from 'graphql-sse'
import { printed } from '../printed.mjs'
import { following } from './following.mjs'
import { scope } from './graphql-sse.mjs'

export async function open(t, places) {
  // What is followed is what is cut.
  const http = places.ws.replace(/^ws:/, 'http:')
  const streams = []
  let retry
  const given = await scope(places)
  const above = await printed('graphql-sse 2', { ...places, http }, given)
  const { follow } = await printed('graphql-sse 2 over one connection', { ...places, http }, { ...given, ...above }, {
    createClient: options => {
      retry = options.retry
      const client = createClient({ ...options, fetchFn: noting(options.fetchFn, streams) })
      t.after(() => client.dispose())
      return client
    },
  })
  return { ...following(follow), codes, retry, streams, follow }
}

/** Of what fetch was refused, or of a result. */
const codes = error => (Array.isArray(error) ? error.map(each => each.extensions.code) : [error.code])

/** Notes the streams that are opened. */
const noting = (fetchFn, streams) => async (url, options) => {
  const answer = await fetchFn(url, options)
  if (options.method === 'GET') streams.push(answer.status)
  return answer
}
