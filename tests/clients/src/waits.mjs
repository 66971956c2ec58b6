// How long a client waits: for a line that says nothing, and before it comes back.

import assert from 'node:assert/strict'
import { Api, uuid } from './api.mjs'
import { CREATE_ROOM, EVENTS, HEAD, SEND } from './documents.mjs'
import { Stream } from './log.mjs'
import { Proxy } from './proxy.mjs'
import { Server, token } from './server.mjs'

/** So many times sooner than the recipe says: in 3.2 s instead of 40, where the server pings every 2 s. */
const HASTE = 12.5

/** Neither what is followed nor what is being opened may say nothing for ever. */
export async function aSilentLineIsNoticed(t, open) {
  const server = await Server.start(t, { TIDINGS_PING_INTERVAL_SECS: '2' })
  const proxy = await Proxy.listen(t, () => server.port)
  const api = new Api(() => server.http, token('ada'))
  const roomId = (await api.ask(CREATE_ROOM, { input: { name: 'tunnel' } })).createRoom.room.id
  const { head } = await api.ask(HEAD)
  const sent = []
  const send = async body => sent.push((await api.ask(SEND, { input: { id: uuid(), roomId, body } })).sendMessage.message.id)
  const client = await open(t, { ws: proxy.ws, http: proxy.http, token: () => token('ada'), online: () => server.ready, haste: HASTE })
  const stream = new Stream('stream')
  const sink = { next: next => stream.take(next), error: error => stream.fail(error), complete: () => stream.fail('completed') }
  client.subscribe(EVENTS, { roomIds: [roomId], after: head }, sink)
  const allCome = () => stream.until(() => stream.events.length >= sent.length, () => `${stream.events.length} of ${sent.length} events`)
  await send('before')
  await allCome()

  // The next one is silent from the first byte of its answer.
  proxy.plan = () => ({ down: proxy.cuts ? Infinity : 1, up: Infinity, how: 'silence' })
  proxy.silence()
  await send('meanwhile')
  await allCome()
  assert.ok(proxy.cuts > 0, 'one was silent from its beginning')
  await send('after')
  await allCome()
  assert.deepEqual(stream.events.map(event => event.message.id), sent)
}

/** A quiet stream is cut for good reasons again and again: what was waited for before says nothing about the next time. */
export async function noWaitGrowsWithoutEnd(t, open) {
  const server = await Server.start(t)
  let waited
  const count = (act, ms) => {
    waited = ms
    act()
  }
  const { retry } = await open(t, { ws: server.ws, http: server.http, token: () => token('ada'), setTimeout: count })
  assert.ok(retry, 'the recipe says how long it waits')
  for (let tries = 0; tries <= 1_100; tries += 1) {
    await retry(tries)
    assert.ok(waited >= 500 && waited < 60_000, `try ${tries} begins after ${waited} ms`)
  }
}
