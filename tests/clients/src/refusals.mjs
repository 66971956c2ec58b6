// What a client shows its application when the server refuses.

import assert from 'node:assert/strict'
import { Api, uuid } from './api.mjs'
import { CREATE_ROOM, EVENTS, HEAD, MESSAGE_SENT, SEND } from './documents.mjs'
import { noLinks } from './link.mjs'
import { Stream } from './log.mjs'
import { Proxy } from './proxy.mjs'
import { Server, token } from './server.mjs'

/** A server, a room of ada's in it and a way to send there. */
async function scene(t) {
  const server = await Server.start(t)
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'scene' } })
  const { head } = await api.ask(HEAD)
  const roomId = createRoom.room.id
  const send = async body => (await api.ask(SEND, { input: { id: uuid(), roomId, body } })).sendMessage.message.id
  return { server, api, head, roomId, send, places: { ws: server.ws, http: server.http, online: () => server.ready } }
}

function follow(client, name, query, variables) {
  const stream = new Stream(name)
  client.subscribe(query, variables, { next: next => stream.take(next), error: error => stream.fail(error), complete() {} })
  return stream
}

const delivered = (stream, count) => {
  return stream.until(() => stream.events.length >= count, () => `${stream.name}: ${stream.events.length} of ${count} events`)
}
const ids = stream => stream.events.map(event => event.message.id)

/** The error that a subscription ends with. */
function end(client, query, variables) {
  return new Promise((resolve, reject) => {
    const over = () => reject(new Error('it did not end with an error'))
    client.subscribe(query, variables, { next: over, error: resolve, complete: over })
  })
}

export async function codesAreSeen(t, open) {
  const { server, places, roomId } = await scene(t)
  const printed = server.printedToken('ada').trim()
  const client = await open(t, { ...places, token: () => printed })
  const code = async (query, variables) => {
    const error = await client.ask(query, variables).then(() => assert.fail('it was not refused'), error => error)
    return client.codes(error)[0]
  }
  assert.equal(await code(SEND, { input: { roomId, body: ' ' } }), 'BAD_USER_INPUT')
  assert.equal(await code(SEND, { input: { roomId: uuid(), body: 'hi' } }), 'NOT_FOUND')
  assert.equal(await code('query Nothing { nothing }'), 'GRAPHQL_VALIDATION_FAILED')
  assert.ok((await client.ask('query Viewer { viewer { id name } }')).viewer.id === 'ada')
}

export async function refusedSubscriptionsEndAndTheOthersGoOn(t, open) {
  const { places, roomId, head, send } = await scene(t)
  const stranger = await Server.start(t)
  const foreign = (await new Api(() => stranger.http, token('ada')).ask(HEAD)).head
  const client = await open(t, { ...places, token: () => token('ada') })
  const good = follow(client, 'good', EVENTS, { roomIds: [roomId], after: head })
  await send('before')
  await delivered(good, 1)

  const hidden = await end(client, MESSAGE_SENT, { roomId: uuid() })
  assert.deepEqual(client.codes(hidden), ['NOT_FOUND'])
  const lost = await end(client, MESSAGE_SENT, { roomId, after: foreign })
  assert.deepEqual(client.codes(lost), ['RESYNC_REQUIRED'])
  const garbage = await end(client, MESSAGE_SENT, { roomId, after: 'yesterday' })
  assert.deepEqual(client.codes(garbage), ['BAD_USER_INPUT'])

  const afresh = follow(client, 'afresh', EVENTS, { roomIds: [roomId], after: foreign })
  await delivered(afresh, 1)
  assert.deepEqual([afresh.events[0].__typename, afresh.events[0].reason], ['ResyncRequired', 'EPOCH_CHANGED'])
  const last = await send('after')
  await Promise.all([delivered(good, 2), delivered(afresh, 2)])
  assert.equal(ids(good)[1], last)
  assert.equal(afresh.events[1].message.id, last)
}

export async function aBadTokenIsAskedForAgain(t, open) {
  const { places, roomId, head, send } = await scene(t)
  const tokens = [token('ada', -3600), token('ada', 3600, 'a key of someone else, 32 bytes or more')]
  const client = await open(t, { ...places, token: () => tokens.shift() ?? token('ada') })
  const stream = follow(client, 'stream', EVENTS, { roomIds: [roomId], after: head })
  const id = await send('hello')
  await delivered(stream, 1)
  assert.deepEqual(ids(stream), [id])
  // A stream over HTTP is answered by a status.
  if (client.closes) assert.deepEqual(client.closes, [4403, 4403])
  assert.equal(tokens.length, 0)
}

/** Nobody is refused what another subscription of the same client has had already. */
export async function equalSubscriptionsAreEachWhole(t, open) {
  const { places, roomId, head, send } = await scene(t)
  const client = await open(t, { ...places, token: () => token('ada') })
  const variables = { roomIds: [roomId], after: head }
  const first = follow(client, 'first', EVENTS, variables)
  const sent = [await send('before')]
  await delivered(first, 1)
  const second = follow(client, 'second', EVENTS, variables)
  await delivered(second, 1)
  sent.push(await send('after'))
  for (const stream of [first, second]) {
    await delivered(stream, 2)
    assert.deepEqual(ids(stream), sent)
  }
}

/** Neither as it begins nor after a cut is it an end that there is no token to be had for a while. */
export async function aTokenOutOfReachIsWaitedFor(t, open) {
  const { server, places, roomId, head, send } = await scene(t)
  const proxy = await Proxy.listen(t, () => server.port)
  // So far away that what becomes of one connection is heard of when the next one is being made.
  proxy.plan = () => ({ down: Infinity, up: Infinity, how: 'end', link: { ...noLinks()(), latency: 50 } })
  let outOfReach = 3
  const fresh = () => {
    if (outOfReach === 0) return token('ada')
    outOfReach -= 1
    throw new Error('no way to get a token')
  }
  const client = await open(t, { ...places, ws: proxy.ws, token: fresh })
  const stream = follow(client, 'stream', EVENTS, { roomIds: [roomId], after: head })
  const sent = [await send('before')]
  await delivered(stream, 1)
  assert.equal(outOfReach, 0)
  outOfReach = 2
  proxy.refuse()
  sent.push(await send('meanwhile'))
  proxy.admit()
  await delivered(stream, 2)
  assert.deepEqual(ids(stream), sent)
  assert.equal(outOfReach, 0)
}

export async function anExpiringTokenCostsNothing(t, open) {
  const { places, roomId, send } = await scene(t)
  // The leeway is 30 s: this one is good for two seconds more.
  const tokens = [token('ada', -28)]
  const client = await open(t, { ...places, token: () => tokens.shift() ?? token('ada') })
  const stream = follow(client, 'stream', EVENTS, { roomIds: [roomId] })
  await stream.until(() => stream.caughtUp, () => 'not live')
  const sent = []
  const asOf = Date.now()
  while (!client.closes.length) {
    assert.ok(Date.now() < asOf + 60_000, 'the socket is closed at exp and the leeway')
    sent.push(await send('before'))
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  assert.deepEqual(client.closes, [4403])
  sent.push(await send('after'))
  await delivered(stream, sent.length)
  assert.deepEqual(ids(stream), sent)
}
