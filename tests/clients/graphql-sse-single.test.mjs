// The stock graphql-sse client with `singleConnection: true`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Api, uuid } from './src/api.mjs'
import { open } from './src/clients/graphql-sse-single.mjs'
import { CREATE_ROOM, EVENTS, HEAD, MESSAGE_SENT, SEND } from './src/documents.mjs'
import { Stream } from './src/log.mjs'
import { Proxy } from './src/proxy.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'
import { Server, token } from './src/server.mjs'
import { aSilentLineIsNoticed, noWaitGrowsWithoutEnd } from './src/waits.mjs'

const ROOMS = 12

test('graphql-sse over one connection ends with exactly the log, however often it is cut off', t => ride(t, { open, cuts: 20, kills: 2, silences: 1, history: 1_000, haste: 12.5 }))
test('graphql-sse over one connection shows the codes of errors', t => refusals.codesAreSeen(t, open))
test('graphql-sse over one connection ends a refused subscription and goes on with the others', t =>
  refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
test('graphql-sse over one connection asks for a fresh token when one is not accepted', t => refusals.aBadTokenIsAskedForAgain(t, open))
test('graphql-sse over one connection waits for a token that is out of reach', t => refusals.aTokenOutOfReachIsWaitedFor(t, open))
test('graphql-sse over one connection notices a line that has gone silent', t => aSilentLineIsNoticed(t, open))
test('graphql-sse over one connection comes back within a minute, however often it was cut', t => noWaitGrowsWithoutEnd(t, open))

/** A server behind a proxy, rooms of ada's in it, and a client that asks by `fetch`. */
async function scene(t, { rooms = 1, settings, fetch } = {}) {
  const server = await Server.start(t, settings)
  const proxy = await Proxy.listen(t, () => server.port)
  const api = new Api(() => server.http, token('ada'))
  const made = []
  for (let nth = 0; nth < rooms; nth += 1) {
    made.push((await api.ask(CREATE_ROOM, { input: { name: `room ${nth}` } })).createRoom.room.id)
  }
  const { head } = await api.ask(HEAD)
  const online = async () => {
    await server.ready
    await proxy.admitting()
  }
  const client = await open(t, { ws: proxy.ws, http: proxy.http, online, token: () => token('ada'), fetch })
  const send = async (roomId, body) => (await api.ask(SEND, { input: { id: uuid(), roomId, body } })).sendMessage.message.id
  return { server, proxy, client, rooms: made, head, send, api }
}

function follow(client, query, variables) {
  const stream = new Stream(JSON.stringify(variables))
  client.subscribe(query, variables, {
    next: next => stream.take(next),
    error: error => stream.fail(error),
    complete: () => stream.fail('completed'),
  })
  return stream
}

const come = (stream, count) => stream.until(() => stream.events.length >= count, () => `${stream.name}: ${stream.events.length} of ${count}`)
const ids = stream => stream.events.map(event => event.message.id)

test('many subscriptions, queries and mutations share one stream, before a cut and after', async t => {
  const { proxy, client, rooms, head, send } = await scene(t, { rooms: ROOMS })
  const streams = rooms.map(roomId => follow(client, MESSAGE_SENT, { roomId, after: head }))
  const sent = rooms.map(() => [])
  for (let round = 0; round < 3; round += 1) {
    for (const [nth, roomId] of rooms.entries()) {
      const input = { id: uuid(), roomId, body: `${round}` }
      sent[nth].push((await client.ask(SEND, { input })).sendMessage.message.id)
    }
    await Promise.all(streams.map((stream, nth) => come(stream, sent[nth].length)))
    assert.equal((await client.ask('query Viewer { viewer { id } }')).viewer.id, 'ada')
    // What is said while it is away is told when it is back.
    proxy.refuse()
    for (const [nth, roomId] of rooms.entries()) sent[nth].push(await send(roomId, `dark ${round}`))
    proxy.admit()
    await Promise.all(streams.map((stream, nth) => come(stream, sent[nth].length)))
  }
  assert.deepEqual(streams.map(ids), sent)
  assert.deepEqual(client.streams.filter(status => status === 200).length, 4, 'one stream, and one after each cut')
})

test('who unsubscribes hears no more, and the others do', async t => {
  const { client, rooms, head, send } = await scene(t, { settings: { TIDINGS_SUBSCRIPTIONS_PER_CONNECTION: '2' } })
  const [roomId] = rooms
  const stays = follow(client, EVENTS, { roomIds: [roomId], after: head })
  // With no more than two at once, each can only begin once the one before has ended here.
  for (let nth = 0; nth < 10; nth += 1) {
    await send(roomId, `${nth}`)
    let [end, first] = []
    do {
      first = await new Promise((resolve, reject) => {
        end = client.follow(MESSAGE_SENT, { roomId, after: head }, { next: resolve, error: reject, complete() {} })
      })
      // What it unsubscribed from may be on its way.
    } while (first.errors?.[0].extensions.code === 'RATE_LIMITED')
    assert.equal(first.data.messageSent.body, '0')
    end()
  }
  await come(stays, 10)
})

/** Counts what is asked of the stream; a storm of it ends the test. */
class Posts {
  count = 0
  stream

  next() {
    this.count += 1
    if (this.count > 3) this.stream.fail(new Error(`${this.count} requests for one subscription`))
    return this.count
  }
}

test('a subscription begins though the answer to its request was lost', async t => {
  const posts = new Posts()
  const losing = async (url, init) => {
    const answer = await fetch(url, init)
    if (init.method === 'POST' && posts.next() === 1) throw new TypeError('fetch failed')
    return answer
  }
  const { client, rooms, head, send } = await scene(t, { fetch: losing })
  posts.stream = follow(client, MESSAGE_SENT, { roomId: rooms[0], after: head })
  const sent = [await send(rooms[0], 'hello')]
  await come(posts.stream, 1)
  assert.deepEqual(ids(posts.stream), sent)
})

test('a page that a gateway gives in place of the stream is no stream', async t => {
  let pages = 0
  const portal = async (url, init) => {
    if (init.method !== 'GET' || pages) return fetch(url, init)
    pages += 1
    return new Response('<p>Sign in to this network</p>', { headers: { 'content-type': 'text/html' } })
  }
  const { client, rooms, head, send } = await scene(t, { fetch: portal })
  const stream = follow(client, MESSAGE_SENT, { roomId: rooms[0], after: head })
  const sent = [await send(rooms[0], 'hello')]
  await come(stream, 1)
  assert.deepEqual([ids(stream), pages], [sent, 1])
})

test('a subscription begins though its stream is gone and the line to that silent', async t => {
  const posts = new Posts()
  let direct
  const apart = async (url, init) => {
    if (init.method === 'POST') posts.next()
    return fetch(direct ?? url, init)
  }
  const { server, proxy, client, rooms, head, send } = await scene(t, { fetch: apart })
  await client.opened(1)
  // Only the stream is silent: another connection of that time, used again, would have to be given up first.
  direct = server.http
  proxy.silence()
  await server.kill()
  posts.stream = follow(client, MESSAGE_SENT, { roomId: rooms[0], after: head })
  const sent = [await send(rooms[0], 'hello')]
  await come(posts.stream, 1)
  assert.deepEqual(ids(posts.stream), sent)
})
