import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import WebSocket from 'ws'
import { Api, uuid } from './src/api.mjs'
import { open } from './src/clients/graphql-ws.mjs'
import { CREATE_ROOM, HEAD, MESSAGE_SENT, SEND } from './src/documents.mjs'
import { readLog, Stream } from './src/log.mjs'
import { Proxy } from './src/proxy.mjs'
import { Server, token } from './src/server.mjs'
import { Watched } from './src/wait.mjs'

/** A socket by hand, for what a stock client cannot be made to do at will. */
async function dial(t, server, payload) {
  const socket = new WebSocket(server.ws, 'graphql-transport-ws')
  t.after(() => socket.terminate())
  const heard = []
  const news = new Watched()
  socket.on('message', text => {
    heard.push(JSON.parse(text))
    news.changed()
  })
  await once(socket, 'open')
  const say = message => socket.send(JSON.stringify(message))
  const hear = async wanted => {
    await news.until(() => heard.some(wanted), () => `heard only ${JSON.stringify(heard)}`)
    return heard.find(wanted)
  }
  say({ type: 'connection_init', payload: { Authorization: `Bearer ${token('ada')}`, ...payload } })
  await hear(message => message.type === 'connection_ack')
  return { say, hear }
}

// The recipe takes a ping for the whole truth. Were a ping to name only those that are back already, a cut right after
// it would send the others to where they began.
test('a ping names the place of a subscription that is not back yet', async t => {
  const server = await Server.start(t)
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'resume' } })
  const roomId = createRoom.room.id
  const { head } = await api.ask(HEAD)
  await api.ask(SEND, { input: { id: uuid(), roomId, body: 'since' } })

  const { say, hear } = await dial(t, server, { resume: { first: head, second: head } })
  say({ id: 'first', type: 'subscribe', payload: { query: MESSAGE_SENT, variables: { roomId } } })
  const { payload } = await hear(({ type, payload }) => type === 'ping' && payload?.resume.first > head)
  assert.equal(payload.resume.second, head)
})

// Nor may what the application has ended meanwhile come back for ever.
test('a ping forgets a subscription that has been completed', async t => {
  const server = await Server.start(t)
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'resume' } })
  const variables = { roomId: createRoom.room.id }
  const { head } = await api.ask(HEAD)

  const { say, hear } = await dial(t, server, { resume: { first: head } })
  say({ id: 'first', type: 'subscribe', payload: { query: MESSAGE_SENT, variables } })
  await hear(({ type, payload }) => type === 'ping' && 'first' in payload.resume)
  say({ id: 'first', type: 'complete' })
  say({ id: 'second', type: 'subscribe', payload: { query: MESSAGE_SENT, variables } })
  const { payload } = await hear(({ type, payload }) => type === 'ping' && 'second' in payload.resume)
  assert.deepEqual(Object.keys(payload.resume), ['second'])
})

// The server gives up a socket that does not answer, but cannot tell a client whom nothing reaches: it has to notice itself.
/** A room, followed by a client that asks often whether its line lives. */
async function lift(t) {
  const server = await Server.start(t)
  const proxy = await Proxy.listen(t, () => server.port)
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'lift' } })
  const roomId = createRoom.room.id
  const client = await open(t, { ws: proxy.ws, token: () => token('ada'), online: () => server.ready, keepAlive: 200 })
  const stream = new Stream('lift')
  client.subscribe(MESSAGE_SENT, { roomId }, { next: payload => stream.take(payload), error: error => stream.fail(error), complete() {} })
  await client.positions(all => all.length === 1, 'it is live')
  const { head } = await api.ask(HEAD)
  const say = body => api.ask(SEND, { input: { id: uuid(), roomId, body } })
  const hears = async () => {
    const log = await readLog(api, head)
    await stream.reaches(log.at(-1).cursor)
    stream.mustBe(log)
  }
  return { proxy, client, say, hears }
}

test('a client notices a line that has gone silent, and nothing is lost', async t => {
  const { proxy, client, say, hears } = await lift(t)
  proxy.silence()
  for (const body of ['one', 'two']) await say(body)
  await hears()
  assert.deepEqual(client.closes, [4499])
})

test('a client notices it too where something comes after it has asked', async t => {
  const { proxy, client, say, hears } = await lift(t)
  // With no ping under way, so that the next is the one that is not answered.
  const once = (event, wanted) => new Promise(resolve => client.under.on(event, received => received === wanted && resolve()))
  await once('pong', true)
  proxy.silence({ down: false })
  await once('ping', false)
  await say('one')
  await hears()
  proxy.silence()
  await say('two')
  await hears()
  assert.deepEqual(client.closes, [4499])
})

// Before the acknowledgement a stock client sends no ping, and waits for as long as it is let.
for (const [when, cut] of [['is answered', { down: 1 }], ['has said who it is', { up: 400 }]]) {
  test(`a client notices a line that goes silent before it ${when}`, async t => {
    const server = await Server.start(t)
    const proxy = await Proxy.listen(t, () => server.port)
    const lines = []
    proxy.plan = () => {
      lines.push({ down: Infinity, up: Infinity, how: 'silence', ...(lines.length ? {} : cut) })
      return lines.at(-1)
    }
    const api = new Api(() => server.http, token('ada'))
    const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'tunnel' } })
    const client = await open(t, { ws: proxy.ws, token: () => token('ada'), online: () => server.ready })
    client.subscribe(MESSAGE_SENT, { roomId: createRoom.room.id }, { next() {}, error: error => assert.fail(error), complete() {} })
    await client.positions(all => all.length === 1, 'it is live')
    assert.deepEqual([proxy.cuts, lines.length, client.closes], [1, 2, [4499]])
  })
}
