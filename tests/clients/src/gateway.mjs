// A gateway between an app and the server, which answers by itself when it likes.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

export class Gateway {
  #listener
  /** For each request, of its JSON: the text that is answered `instead`, and whether the server `isAsked` all the same. */
  plan = () => ({})

  /** Listens in front of `target()`, an address that may change. */
  static async listen(t, target) {
    const gateway = new Gateway()
    gateway.#listener = createServer(async (request, answer) => {
      const body = await text(request)
      const { instead, isAsked = instead === undefined } = gateway.plan(JSON.parse(body))
      const { authorization } = request.headers
      const headers = { 'content-type': 'application/json', authorization }
      const given = isAsked && (await fetch(target(), { method: 'POST', headers, body }).then(answer => answer.text()))
      answer.writeHead(instead === undefined ? 200 : 502, { 'content-type': 'application/json' }).end(instead ?? given)
    })
    gateway.#listener.listen(0, '127.0.0.1')
    await once(gateway.#listener, 'listening')
    t.after(() => {
      gateway.#listener.close()
      gateway.#listener.closeAllConnections()
    })
    return gateway
  }

  get http() {
    return `http://127.0.0.1:${this.#listener.address().port}/graphql`
  }
}
