import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Api, uuid } from './src/api.mjs'
import { open } from './src/clients/apollo-http.mjs'
import { CREATE_ROOM, EVENTS, HEAD, SEND } from './src/documents.mjs'
import { Stream } from './src/log.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'
import { Server, token } from './src/server.mjs'
import { aSilentLineIsNoticed } from './src/waits.mjs'

const name = 'Apollo Client over HTTP'

test(`${name} ends with exactly the log, however often it is cut off`, t => ride(t, { open, cuts: 20, kills: 2, silences: 1, history: 1_000, haste: 12.5 }))
test(`${name} ends a refused subscription and goes on with the others`, t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
test(`${name} asks for a fresh token when one is not accepted`, t => refusals.aBadTokenIsAskedForAgain(t, open))
test(`${name} waits for a token that is out of reach`, t => refusals.aTokenOutOfReachIsWaitedFor(t, open))
test(`${name} notices a line that has gone silent`, t => aSilentLineIsNoticed(t, open))

// By itself it lets the second share the first one's request, and with it what comes from then on.
test(`${name} gives each of two equal subscriptions everything`, async t => {
  const server = await Server.start(t)
  const api = new Api(() => server.http, token('ada'))
  const roomId = (await api.ask(CREATE_ROOM, { input: { name: 'shared' } })).createRoom.room.id
  const { head } = await api.ask(HEAD)
  const client = await open(t, { ws: server.ws, http: server.http, token: () => token('ada'), online: () => server.ready })
  const sent = []
  const send = async body => sent.push((await api.ask(SEND, { input: { id: uuid(), roomId, body } })).sendMessage.message.id)
  const follow = name => {
    const stream = new Stream(name)
    client.subscribe(EVENTS, { roomIds: [roomId], after: head }, { next: next => stream.take(next), error: error => stream.fail(error) })
    return stream
  }
  const hears = stream => stream.until(() => stream.events.length >= sent.length, () => `${stream.name}: ${stream.events.length} of ${sent.length}`)
  await send('before either')
  const first = follow('first')
  await hears(first)
  await send('before the second')
  await hears(first)
  const second = follow('second')
  await hears(second)
  await send('after both')
  await Promise.all([hears(first), hears(second)])
  for (const stream of [first, second]) assert.deepEqual(stream.events.map(event => event.message.id), sent)
})
