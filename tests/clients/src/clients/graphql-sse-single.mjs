// graphql-sse as docs/clients.md prints it for one connection: all that is asked goes by requests of its own, queries and mutations too,
// and all that is answered by the one stream.

import { createClient } from 'graphql-sse'
import { printed } from '../printed.mjs'
import { Watched } from '../wait.mjs'
import { following } from './following.mjs'
import { scope } from './graphql-sse.mjs'

export async function open(t, places) {
  // What is followed is what is cut.
  const http = places.ws.replace(/^ws:/, 'http:')
  const streams = []
  const news = new Watched()
  const note = status => {
    streams.push(status)
    news.changed()
  }
  let retry
  const given = await scope(places)
  const above = await printed('graphql-sse 2', { ...places, http }, given)
  const { follow } = await printed('graphql-sse 2 over one connection', { ...places, http }, { ...given, ...above }, {
    createClient: options => {
      retry = options.retry
      const client = createClient({ ...options, fetchFn: noting(options.fetchFn, note) })
      t.after(() => client.dispose())
      return client
    },
  })
  const opened = count => news.until(() => streams.length >= count, () => `${streams.length} of ${count} streams`)
  return { ...following(follow), codes, retry, streams, opened, follow }
}

/** Of what fetch was refused, or of a result. */
const codes = error => (Array.isArray(error) ? error.map(each => each.extensions.code) : [error.code])

/** Notes the streams that are opened. */
const noting = (fetchFn, note) => async (url, options) => {
  const answer = await fetchFn(url, options)
  if (options.method === 'GET') note(answer.status)
  return answer
}
