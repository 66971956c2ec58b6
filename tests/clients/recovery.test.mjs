// What becomes of a client of graphql-ws whose line, token or user is not what it was: by the recipe of docs/clients.md.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import WebSocket from 'ws'
import { Api, uuid } from './src/api.mjs'
import { open } from './src/clients/graphql-ws.mjs'
import { CREATE_ROOM, HEAD, MESSAGE_SENT, SEND } from './src/documents.mjs'
import { noLinks } from './src/link.mjs'
import { readLog, Stream } from './src/log.mjs'
import { printed } from './src/printed.mjs'
import { Proxy } from './src/proxy.mjs'
import { Server, token } from './src/server.mjs'

/** A room, and a client that follows it over a proxy. `places` are the client's, `link` is what the proxy's lines are like. */
async function scene(t, { link, ...places } = {}) {
  const server = await Server.start(t)
  const proxy = await Proxy.listen(t, () => server.port)
  proxy.plan = () => ({ down: Infinity, up: Infinity, how: 'end', link: { ...noLinks()(), ...link } })
  const api = new Api(() => server.http, token('ada'))
  const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: 'recovery' } })
  const { head } = await api.ask(HEAD)
  const roomId = createRoom.room.id
  const client = await open(t, { ws: proxy.ws, token: () => token('ada'), online: () => server.ready, ...places })
  const stream = new Stream('stream')
  const sockets = []
  client.under.on('opened', socket => sockets.push(socket))
  const sink = { next: it => stream.take(it), error: error => stream.fail(error), complete() {} }
  const stop = client.subscribe(MESSAGE_SENT, { roomId }, sink)
  const live = () => client.positions(all => all.length > 0, 'it is live')
  const say = body => api.ask(SEND, { input: { id: uuid(), roomId, body } })
  const hears = async () => {
    const log = await readLog(api, head)
    await stream.reaches(log.at(-1).cursor)
    stream.mustBe(log)
  }
  return { server, proxy, client, sockets, stream, stop, live, say, hears }
}

/** A promise, and what settles it. */
function deferred() {
  let [settle, fail] = []
  const promise = new Promise((resolve, reject) => ([settle, fail] = [resolve, reject]))
  return { promise, settle, fail }
}

test('what a line still carries when the client has given it up is not counted as seen', async t => {
  const online = deferred()
  const { proxy, client, sockets, live, say, hears } = await scene(t, { online: () => online.promise })
  await live()
  const release = proxy.hold()
  await say('one')
  const heard = once(sockets[0], 'message')
  client.under.terminate()
  release()
  await heard
  // Only now does it connect again, and say where it stands.
  online.settle()
  await say('two')
  await hears()
  assert.deepEqual(client.closes, [4499])
})

test('what a line still carries when the client follows over another is not shown twice', async t => {
  const { proxy, client, sockets, live, say, hears } = await scene(t)
  await live()
  const release = proxy.hold()
  await say('one')
  client.under.terminate()
  await hears()
  const heard = once(sockets[0], 'message')
  release()
  await heard
  await say('two')
  await hears()
  assert.deepEqual(client.closes, [4499])
})

/** As React Native's on Android: to be closed before it is open does not keep it from opening. The first one opens when it is let. */
function reluctant(opens) {
  let made = 0
  return class {
    static CONNECTING = 0
    static OPEN = 1
    static CLOSING = 2
    static CLOSED = 3
    readyState = 0
    #under

    constructor(url, protocol) {
      made += 1
      if (made === 1) opens.then(() => this.#open(url, protocol))
      else this.#open(url, protocol)
    }

    #open(url, protocol) {
      this.#under = new WebSocket(url, protocol)
      this.#under.on('error', () => {})
      this.#under.on('open', () => {
        this.readyState = 1
        this.onopen?.({})
      })
      this.#under.on('message', text => this.onmessage?.({ data: text.toString() }))
      this.#under.on('close', (code, reason) => {
        this.readyState = 3
        this.onclose?.({ code, reason: reason.toString() })
      })
    }

    send(text) {
      this.#under.send(text)
    }

    close(code, reason) {
      if (this.readyState === 1) this.#under.close(code, reason)
      this.readyState = Math.max(this.readyState, 2)
    }
  }
}

test('a socket that opens although it was given up is not spoken over', async t => {
  const late = deferred()
  const { client, sockets, live, say, hears } = await scene(t, { hurry: 4, webSocketImpl: reluctant(late.promise) })
  await live()
  const [following] = sockets
  late.settle()
  const opened = await new Promise(resolve => client.under.on('opened', resolve))
  assert.notEqual(opened, following)
  assert.deepEqual([opened.readyState, opened.onmessage], [2, null])
  await say('one')
  await hears()
})

test('who signs in next is not who signed out', async t => {
  let user = 'ada'
  const { client, live, stop } = await scene(t, { token: () => token(user) })
  await live()
  user = 'bob'
  stop()
  client.under.terminate()
  const { viewer } = await client.ask('{ viewer { id } }')
  assert.equal(viewer.id, 'bob')
})

test('a slow line connects, though it takes longer than one may be silent', async t => {
  // Three tenths of a second a round trip, where silence of one is the end.
  const slowly = () => new Promise(resolve => setTimeout(resolve, 800, token('ada')))
  const { live, say, hears } = await scene(t, { hurry: 10, link: { latency: 150 }, token: slowly })
  await live()
  await say('one')
  await hears()
})

test('a token that is given up late ends no other connection', async t => {
  const late = deferred()
  let asked = 0
  const slowly = () => (++asked === 1 ? late.promise : token('ada'))
  const { client, live, say, hears } = await scene(t, { hurry: 4, token: slowly })
  await live()
  const closes = [...client.closes]
  assert.ok(closes.length > 0 && closes.every(code => code === 4499), 'the first connection was given up')
  late.fail(new Error('no way to get a token'))
  await new Promise(resolve => setImmediate(resolve))
  await say('one')
  await hears()
  assert.deepEqual(client.closes, closes)
})

test('it waits for some seconds at most before it tries again, however often it has', async t => {
  let options
  const waited = []
  const scope = { token: () => token('ada'), setTimeout: (then, ms) => waited.push(ms) && then() }
  const createClient = given => (options = given)
  await printed('graphql-ws 6', { ws: '', http: '' }, scope, { createClient })
  for (const tries of [0, 3, 5, 20, 2_000]) await options.retryWait(tries)
  for (const [nth, most] of [1, 8, 30, 30, 30].entries()) {
    assert.ok(waited[nth] >= most * 500 && waited[nth] <= most * 1_500, `${waited[nth]} ms`)
  }
})

test('a renewal opens no connection for its own sake', async t => {
  const server = await Server.start(t)
  const late = deferred()
  let asked = 0
  // The first is for the connection, the second to renew it.
  const slowly = () => (++asked === 2 ? late.promise : token('ada'))
  const places = { ws: server.ws, http: server.http, token: slowly, online: () => server.ready }
  const client = await open(t, places)
  await printed('Renewing a token in place', places, { client: client.under, token: slowly })
  let connecting = 0
  client.under.on('connecting', () => (connecting += 1))
  const closed = new Promise(resolve => client.under.on('closed', resolve))
  await client.ask('{ viewer { id } }')
  await closed
  late.settle(token('ada'))
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual([asked, connecting, client.closes], [2, 1, [1000]])
})
