import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import WebSocket from 'ws'
import { Api, uuid } from './src/api.mjs'
import { CREATE_ROOM, HEAD, MESSAGE_SENT, SEND } from './src/documents.mjs'
import { Server, token } from './src/server.mjs'
import { Watched } from './src/wait.mjs'

/** A socket by hand that offers these subprotocols, or none as ferry does. */
async function dial(t, server, offers, payload) {
  const socket = new WebSocket(server.ws, offers)
  t.after(() => socket.terminate())
  const heard = []
  const news = new Watched()
  let alive = 0
  socket.on('message', text => {
    const message = JSON.parse(text)
    // The first belongs to the acknowledgement; another comes every 15 s, whatever a test is at.
    if (message.type === 'ka' && (alive += 1) > 1) return
    heard.push(message)
    news.changed()
  })
  await once(socket, 'open')
  const say = message => socket.send(JSON.stringify(message))
  const hear = async count => {
    await news.until(() => heard.length >= count, () => `heard only ${JSON.stringify(heard)}`)
    return heard.splice(0, count)
  }
  say({ type: 'connection_init', payload: { authorization: `Bearer ${token('ada')}`, ...payload } })
  return { socket, say, hear }
}

async function scene(t) {
  const server = await Server.start(t)
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'legacy' } })
  const roomId = createRoom.room.id
  const { head } = await api.ask(HEAD)
  const send = async body => (await api.ask(SEND, { input: { id: uuid(), roomId, body } })).sendMessage.message.id
  return { server, roomId, head, send }
}

const start = (id, variables) => ({ id, type: 'start', payload: { query: MESSAGE_SENT, variables } })

for (const [offers, what] of [[[], 'no subprotocol'], [['graphql-ws'], 'the legacy subprotocol']]) {
  test(`a client that offers ${what} resumes by connection_init and by after`, async t => {
    const { server, roomId, head, send } = await scene(t)
    const first = await send('first')
    const { socket, say, hear } = await dial(t, server, offers, { resume: { 1: head } })
    assert.equal(socket.protocol, offers[0] ?? '')
    const [ack, ka] = await hear(2)
    assert.equal(ack.type, 'connection_ack')
    assert.ok(ack.payload.head > head)
    assert.deepEqual(ka, { type: 'ka' })

    say(start('1', { roomId }))
    const [data] = await hear(1)
    assert.deepEqual([data.type, data.id, data.payload.data.messageSent.id], ['data', '1', first])
    const { cursor } = data.payload.extensions
    assert.equal(cursor, data.payload.data.messageSent.cursor)
    const second = await send('second')
    assert.equal((await hear(1))[0].payload.data.messageSent.id, second)

    say({ id: '1', type: 'stop' })
    assert.deepEqual(await hear(1), [{ type: 'complete', id: '1' }])
    say(start('2', { roomId, after: cursor }))
    assert.equal((await hear(1))[0].payload.data.messageSent.id, second)
  })
}

test('a stream that the server ends is told with its code, and the socket goes on', async t => {
  const { server, roomId } = await scene(t)
  const stranger = await Server.start(t)
  const foreign = (await new Api(() => stranger.http, token('ada')).ask(HEAD)).head
  const { say, hear } = await dial(t, server, ['graphql-ws'])
  await hear(2)
  say(start('1', { roomId, after: foreign }))
  const [data, complete] = await hear(2)
  assert.deepEqual(Object.keys(data.payload), ['errors'])
  assert.equal(data.payload.errors[0].extensions.code, 'RESYNC_REQUIRED')
  assert.deepEqual(complete, { type: 'complete', id: '1' })
  say({ id: '2', type: 'start', payload: { query: HEAD } })
  const [answer, end] = await hear(2)
  assert.ok(answer.payload.data.head)
  assert.deepEqual(end, { type: 'complete', id: '2' })
})
