import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { Api, uuid } from './src/api.mjs'
import { open } from './src/clients/subscriptions-transport-ws.mjs'
import { CREATE_ROOM, EVENTS, HEAD, SEND } from './src/documents.mjs'
import { Stream } from './src/log.mjs'
import { Proxy } from './src/proxy.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'
import { Server, token } from './src/server.mjs'
import { Watched } from './src/wait.mjs'

const name = 'subscriptions-transport-ws'

test(`${name} ends with exactly the log, however often it is cut off`, t => ride(t, { open, cuts: 20, kills: 2, silences: 1, history: 1_000, haste: 12.5 }))
test(`${name} shows the codes of errors`, t => refusals.codesAreSeen(t, open))
test(`${name} ends a refused subscription and goes on with the others`, t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
test(`${name} asks for a fresh token when one is not accepted`, t => refusals.aBadTokenIsAskedForAgain(t, open))
test(`${name} waits for a token that is out of reach`, t => refusals.aTokenOutOfReachIsWaitedFor(t, open))
test(`${name} loses nothing when its token expires`, t => refusals.anExpiringTokenCostsNothing(t, open))

test(`${name} follows on where the token for a connection that is gone comes late`, async t => {
  const server = await Server.start(t)
  const proxy = await Proxy.listen(t, () => server.port)
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'late' } })
  const roomId = createRoom.room.id
  const { head } = await api.ask(HEAD)
  const asked = new Watched()
  const late = []
  const slowly = () => {
    const given = late.length ? token('ada') : new Promise(resolve => late.push(resolve))
    asked.changed()
    return given
  }
  const client = await open(t, { ws: proxy.ws, token: slowly })
  const stream = new Stream('stream')
  client.subscribe(EVENTS, { roomIds: [roomId], after: head }, { next: next => stream.take(next), error: error => stream.fail(error) })
  await asked.until(() => late.length, () => 'no token was asked for')
  // The network changes: first the socket ends, then what fetched the token.
  const gone = client.disconnected()
  proxy.refuse()
  await gone
  late[0](token('ada'))
  proxy.admit()
  await api.ask(SEND, { input: { id: uuid(), roomId, body: 'hello' } })
  await stream.until(() => stream.events.length >= 1, () => 'it follows nothing', 20_000)
})

/** Bytes of the answer to an upgrade: they are the same each time. */
async function upgradeBytes(server) {
  const socket = connect({ port: server.port, host: '127.0.0.1' })
  const lines = ['GET /graphql HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
  socket.write([...lines, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: graphql-ws', '', ''].join('\r\n'))
  const [answer] = await once(socket, 'data')
  socket.destroy()
  assert.match(answer.toString(), /^HTTP\/1.1 101 [^]*\r\n\r\n$/)
  return answer.length
}

// Without the remedies in the recipe it would follow nothing from there on, and never say so.
for (const [what, how] of [['was lost', 'end'], ['went silent', 'silence']]) {
  test(`${name} follows on after a connection that ${what} before it was acknowledged`, t => followsOnAfter(t, how))
}

async function followsOnAfter(t, how) {
  const server = await Server.start(t, { TIDINGS_PING_INTERVAL_SECS: '2' })
  const proxy = await Proxy.listen(t, () => server.port)
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'acknowledged' } })
  const roomId = createRoom.room.id
  const send = async body => (await api.ask(SEND, { input: { id: uuid(), roomId, body } })).sendMessage.message.id
  const { head } = await api.ask(HEAD)
  const client = await open(t, { ws: proxy.ws, token: () => token('ada'), haste: 10 })
  const stream = new Stream('stream')
  client.subscribe(EVENTS, { roomIds: [roomId], after: head }, { next: next => stream.take(next), error: error => stream.fail(error) })
  const delivered = count => stream.until(() => stream.events.length >= count, () => `${stream.events.length} of ${count}`)
  const sent = [await send('before')]
  await delivered(1)

  const down = (await upgradeBytes(server)) + 5
  proxy.plan = () => (proxy.cuts ? { down: Infinity, up: Infinity } : { down, up: Infinity, how })
  proxy.refuse()
  sent.push(await send('meanwhile'))
  proxy.admit()
  await delivered(2)
  assert.equal(proxy.cuts, 1)
  sent.push(await send('after'))
  await delivered(3)
  assert.deepEqual(stream.events.map(event => event.message.id), sent)
}
