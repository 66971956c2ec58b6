import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Api, uuid } from './src/api.mjs'
import * as apollo from './src/clients/apollo.mjs'
import * as stock from './src/clients/graphql-ws.mjs'
import { CREATE_ROOM, EVENTS, SEND } from './src/documents.mjs'
import { Stream } from './src/log.mjs'
import { printed } from './src/printed.mjs'
import { Server, token } from './src/server.mjs'

// The server forgives half a minute. So each of these is good for so many seconds.
const LEEWAY = 30
const good = seconds => token('ada', seconds - LEEWAY)

/**
 * A server with a room of ada's, and a subscription to it by a client that renews its token as the recipe has it. `tokens` is told
 * how many sockets of it were closed.
 */
async function scene(t, open, tokens) {
  const server = await Server.start(t)
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'renewal' } })
  const roomId = createRoom.room.id
  const send = async body => (await api.ask(SEND, { input: { id: uuid(), roomId, body } })).sendMessage.message.id
  const given = { count: 0 }
  let client
  const next = () => {
    given.count += 1
    return tokens(client.closes.length)
  }
  const places = { ws: server.ws, http: server.http, online: () => server.ready, token: next }
  client = await open(t, places)
  // Once a second, instead of every ten.
  const setTimeout = stock.hurried({ hurry: 10 })
  const { renew } = await printed('Renewing a token in place', places, { client: client.under, token: next, setTimeout })
  const stream = new Stream('stream')
  client.subscribe(EVENTS, { roomIds: [roomId] }, { next: it => stream.take(it), error: error => stream.fail(error), complete() {} })
  await stream.until(() => stream.caughtUp, () => 'not live')
  return { client, stream, send, given, renew }
}

const ids = stream => stream.events.map(event => event.message.id)

/** Sends until so many tokens were given out, and sees each message come, once. */
async function sendUntil({ stream, send, given, client }, enough) {
  const sent = []
  const asOf = Date.now()
  while (!enough(given.count, client.closes)) {
    assert.ok(Date.now() < asOf + 60_000, `${given.count} tokens were given out, closed with ${client.closes}`)
    sent.push(await send('while it is renewed'))
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  sent.push(await send('after'))
  await stream.until(() => stream.events.length >= sent.length, () => `${stream.events.length} of ${sent.length}`)
  assert.deepEqual(ids(stream), sent)
}

for (const [name, open] of [['graphql-ws', stock.open], ['Apollo Client', apollo.open]]) {
  test(`${name} renews its token in place, again and again, and its socket stays`, async t => {
    // `expiresAt` is that of the token, without what the server forgives: renewed once a second.
    // Now and then there is none to be had; the first is that of `connection_init`.
    let asked = 0
    const all = await scene(t, open, () => {
      asked += 1
      if (asked % 3 === 0) throw new Error('no way to get a token')
      return good(10)
    })
    const asOf = Date.now()
    await sendUntil(all, given => given >= 4 && Date.now() > asOf + 11_000)
    assert.deepEqual(all.client.closes, [], 'it outlived the first token')
  })

  test(`${name} loses nothing where its token is not renewed in time`, async t => {
    // The same one each time: there is no fresh one to be had until it is too late.
    let old
    const all = await scene(t, open, closes => (closes ? token('ada') : (old ??= good(3))))
    await sendUntil(all, (_, closes) => closes.length > 0)
    assert.deepEqual(all.client.closes, [4403])
  })

  test(`${name} loses nothing where its renewals are refused`, async t => {
    let asked = 0
    const all = await scene(t, open, closes => {
      asked += 1
      if (closes) return token('ada')
      return asked === 1 ? good(3) : token('ada', -3600)
    })
    await sendUntil(all, (given, closes) => given > 1 && closes.length > 0)
    assert.deepEqual(all.client.closes, [4403])
  })
}
