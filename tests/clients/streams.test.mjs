import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Api, uuid } from './src/api.mjs'
import * as apollo from './src/clients/apollo-multipart.mjs'
import * as sse from './src/clients/graphql-sse.mjs'
import * as urql from './src/clients/urql-fetch.mjs'
import { CREATE_ROOM, EVENTS, HEAD, SEND } from './src/documents.mjs'
import { Stream } from './src/log.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'
import { Server, token } from './src/server.mjs'
import { aSilentLineIsNoticed } from './src/waits.mjs'

const clients = [
  ['graphql-sse', sse.open],
  ['urql with fetchSubscriptions', urql.open, 'text/event-stream; charset=utf-8'],
  ['Apollo Client with a plain HttpLink', apollo.open, 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'],
]

for (const [name, open, type] of clients) {
  test(`${name} shows each event when it is sent, and not when the next one is`, t => eachInItsTime(t, open, type))
  test(`${name} loses nothing when its token expires`, t => anExpiringTokenCostsNothing(t, open))
  // graphql-sse has these in a file of its own.
  if (open === sse.open) continue
  test(`${name} ends with exactly the log, however often it is cut off`, t => ride(t, { open, cuts: 20, kills: 2, history: 1_000 }))
  test(`${name} shows the codes of errors`, t => refusals.codesAreSeen(t, open))
  test(`${name} ends a refused subscription and goes on with the others`, t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
}

test('urql with fetchSubscriptions notices a line that has gone silent', t => aSilentLineIsNoticed(t, urql.open))

async function scene(t) {
  const server = await Server.start(t)
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'scene' } })
  const roomId = createRoom.room.id
  const { head } = await api.ask(HEAD)
  const send = async body => (await api.ask(SEND, { input: { id: uuid(), roomId, body } })).sendMessage.message.id
  return { places: { ws: server.ws, http: server.http, online: () => server.ready }, roomId, head, send }
}

function follow(client, roomId, after) {
  const stream = new Stream('stream')
  const sink = { next: next => stream.take(next), error: error => stream.fail(error), complete: () => stream.fail('completed') }
  client.subscribe(EVENTS, { roomIds: [roomId], after }, sink)
  return stream
}

const come = (stream, count) => stream.until(() => stream.events.length >= count, () => `${stream.events.length} of ${count} events`)
const ids = stream => stream.events.map(event => event.message.id)

/** The next is sent only when this one has come: a client that is one late waits for ever. */
async function eachInItsTime(t, open, type) {
  const { places, roomId, head, send } = await scene(t)
  const client = await open(t, { ...places, token: () => token('ada') })
  const stream = follow(client, roomId, head)
  await stream.until(() => stream.caughtUp, () => 'not live')
  if (type) assert.deepEqual(client.types, [type])
  const [sent, waited] = [[], []]
  for (let nth = 1; nth <= 40; nth += 1) {
    sent.push(await send(`${nth}`))
    const acknowledged = performance.now()
    await come(stream, nth)
    waited.push(performance.now() - acknowledged)
  }
  assert.deepEqual(ids(stream), sent)
  waited.sort((one, other) => one - other)
  t.diagnostic(`shown ${waited[20].toFixed(1)} ms after the acknowledgement (median), ${waited.at(-1).toFixed(1)} ms at most`)
  // The machine may be busy with other things for a moment, but not all the time.
  assert.ok(waited[20] < 200, 'each event is visible within 200 ms')
}

async function anExpiringTokenCostsNothing(t, open) {
  const { places, roomId, head, send } = await scene(t)
  let asked = 0
  // The leeway is 30 s: the first one is good for some seconds more, in which the stream must have begun.
  const fresh = () => token('ada', ++asked === 1 ? -22 : 3600)
  const client = await open(t, { ...places, token: fresh })
  const stream = follow(client, roomId, head)
  await stream.until(() => stream.caughtUp, () => 'not live')
  const [sent, begun] = [[], Date.now()]
  while (asked < 2) {
    assert.ok(Date.now() < begun + 60_000, 'the stream is cut at exp and the leeway, and the client asks for a fresh token')
    sent.push(await send('before'))
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  sent.push(await send('after'))
  await come(stream, sent.length)
  assert.deepEqual(ids(stream), sent)
  assert.equal(asked, 2)
}
