import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { Api, post, uuid } from './src/api.mjs'
import { chance, seed } from './src/chance.mjs'
import { CREATE_ROOM, HEAD, SEND } from './src/documents.mjs'
import { Gateway } from './src/gateway.mjs'
import { readLog } from './src/log.mjs'
import { App, DOCUMENTS, Disk, Elsewhere, Offline, Told, printedOutbox } from './src/outbox.mjs'
import { Proxy } from './src/proxy.mjs'
import { Server, token } from './src/server.mjs'
import { Watched } from './src/wait.mjs'

const OPERATIONS = 150
const LIVES = 8

test('an outbox is replayed exactly once, in order, over whatever transport there is', async t => {
  t.diagnostic(`SEED=${seed}`)
  const draw = chance('outbox')
  const server = await Server.start(t)
  const proxy = await Proxy.listen(t, () => server.port)
  const elsewhere = new Api(() => server.http, token('ada'), () => server.ready)
  const { createRoom } = await elsewhere.ask(CREATE_ROOM, { input: { name: 'outbox' } })
  const roomId = createRoom.room.id
  const before = []
  for (let n = 0; n < 15; n += 1) {
    const { sendMessage } = await elsewhere.ask(SEND, { input: { id: uuid(), roomId, body: `before ${n}` } })
    before.push(sendMessage.message)
  }
  const { head } = await elsewhere.ask(HEAD)

  const offline = new Offline(draw, roomId, before, uuid)
  offline.act(OPERATIONS)
  const disk = new Disk()
  disk.save(offline.operations)
  const world = { server, proxy, disk, told: new Told(), life: 0 }
  const others = new Elsewhere(elsewhere, draw, before.map(({ id }) => id))
  for (const first = draw.below(2); disk.queue.length; world.life += 1) {
    const isLast = world.life >= LIVES && world.told.duplicates > 0
    // It is cut while an answer is on its way, so what was asked for last has been done more often than not.
    proxy.plan = () => ({ down: isLast ? Infinity : 400 + draw.below(3_000), up: Infinity, how: draw.of(['reset', 'end']) })
    await live(world, (first + world.life) % 2 ? overSocket : overHttp, others)
    if (draw.oneIn(2)) await server.kill()
    await others.act(disk.queue, world.told)
    if (!disk.queue.length && world.told.duplicates === 0) {
      // Nothing was in doubt yet: the last send is said once more.
      disk.save(offline.operations.filter(({ kind }) => kind === 'send').slice(-1))
      world.told.again = true
    }
  }

  const log = await readLog(elsewhere, head)
  exactlyOnceAndInOrder(log, offline.operations, world.told, others)
  t.diagnostic(
    `${OPERATIONS} operations in ${world.life} lives: ${world.told.duplicates} duplicates, ${world.told.conflicts.length} conflicts, ` +
      `${world.told.unanswered} times no answer`,
  )
  assert.ok(world.told.duplicates > 0 && world.told.conflicts.length > 0)
})

test('an outbox waits for as long as a rate limit says', async t => {
  const server = await Server.start(t, { TIDINGS_MUTATIONS_PER_SECOND: '1', TIDINGS_MUTATIONS_BURST: '1' })
  const ask = ({ input }) => post(server.http, token('ada'), SEND, { input })
  const roomId = '00000000-0000-7000-8000-000000000001'
  const queue = Array.from({ length: 4 }, (_, n) => ({ input: { id: uuid(), roomId, body: `limited ${n}` } }))
  const ids = queue.map(({ input }) => input.id)
  const [waits, limits, done] = [[], [], []]
  const outbox = printedOutbox(ms => {
    waits.push(ms)
    return new Promise(resolve => setTimeout(resolve, ms))
  })
  const hear = async operation => {
    const answer = await ask(operation)
    const { code, retryable, retryAfterMs } = answer.errors?.[0].extensions ?? {}
    if (code === 'RATE_LIMITED') {
      assert.ok(retryable && retryAfterMs > 0 && retryAfterMs <= 1_000)
      limits.push(retryAfterMs)
    }
    return answer
  }
  await outbox(queue, () => {}, hear, { done: (_, data) => done.push(data.sendMessage.message.id), refused: assert.fail })()
  assert.deepEqual(done, ids)
  assert.deepEqual(waits, limits)
  assert.ok(limits.length > 0)
})

test('an outbox keeps what it says with a token that is not accepted, and says it with a fresh one', async t => {
  const app = await App.start(t)
  const [first, second, third] = app.sends(3)
  second.input.body = ''
  const tokens = [token('ada', -3600), token('ada', 3600, 'of another issuer'), token('ada'), token('ada'), token('ada', -3600)]
  const codes = []
  const ask = async ({ input }) => {
    const answer = await post(app.server.http, tokens.shift() ?? token('ada'), SEND, { input })
    codes.push(answer.errors?.[0].extensions.code)
    return answer
  }
  await app.outbox([first, second, third], ask)()
  assert.deepEqual(codes, ['UNAUTHENTICATED', 'UNAUTHENTICATED', undefined, 'BAD_USER_INPUT', 'UNAUTHENTICATED', undefined])
  assert.equal(app.pauses.length, 3)
  assert.ok(app.pauses.every(ms => ms >= 500), 'it asks for a fresh token after a pause')
  assert.deepEqual(app.done, [first.id, third.id])
  assert.deepEqual(app.refused, [second.id], 'what is the message\'s own fault is still refused')
  assert.deepEqual(await app.log(), [first.id, third.id])
})

test('an outbox keeps what was answered by something between it and the server', async t => {
  const app = await App.start(t)
  const gateway = await Gateway.listen(t, () => app.server.http)
  const text = JSON.stringify
  const answers = [
    text({ message: 'Endpoint request timed out' }),
    text({ errors: [{ message: 'upstream' }] }),
    text({ errors: [{ message: 'upstream', extensions: { code: 'GATEWAY_TIMEOUT' } }] }),
    text({ data: { sendMessage: null }, errors: [{ message: 'upstream' }] }),
    text({ data: { sendMessage: null } }),
    text({ data: null, errors: [null] }),
    text({ data: null }),
    text({ data: {} }),
    text({ errors: [] }),
    text({ errors: 'upstream' }),
    text(null),
    '<html>502</html>',
    '',
  ]
  // Each without and with the server's having been asked.
  const sends = app.sends(2 * answers.length)
  const met = new Set()
  gateway.plan = ({ variables: { input } }) => {
    const at = sends.findIndex(({ id }) => id === input.id)
    if (met.has(input.id)) return {}
    met.add(input.id)
    return { isAsked: at >= answers.length, instead: answers[at % answers.length] }
  }
  const duplicates = []
  const ask = async ({ input }, signal) => {
    const body = text({ query: SEND, variables: { input } })
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token('ada')}` }
    const answer = await (await fetch(gateway.http, { method: 'POST', headers, body, signal })).json()
    if (answer?.data?.sendMessage?.duplicate) duplicates.push(input.id)
    return answer
  }
  const ids = sends.map(({ id }) => id)
  await app.outbox(sends.slice(), ask)()
  assert.deepEqual(app.done, ids)
  assert.deepEqual(app.refused, [])
  assert.deepEqual(duplicates, ids.slice(answers.length))
  assert.equal(app.pauses.length, sends.length)
  assert.deepEqual(await app.log(), ids)
})

test('an outbox takes a message that was sent for sent, also where an error stands beside it', async t => {
  const app = await App.start(t)
  const queue = app.sends(1)
  const [{ id }] = queue
  const beside = { message: 'what was asked for beside it', extensions: { code: 'UNAVAILABLE', retryable: true } }
  await app.outbox(queue, async operation => ({ ...(await app.say(operation)), errors: [beside] }))()
  assert.deepEqual([app.done, app.refused, app.pauses], [[id], [], []])
})

test('an outbox says each operation once, however often it is called', async t => {
  const app = await App.start(t)
  const queue = app.sends(4)
  const ids = queue.map(({ id }) => id)
  const late = queue.pop()
  const asked = []
  const calls = []
  const replay = app.outbox(queue, async operation => {
    asked.push(operation.id)
    if (asked.length === 2) {
      // While it waits for an answer the network is back, and a new message is there.
      queue.push(late)
      calls.push(replay())
    }
    return app.say(operation)
  })
  calls.push(replay(), replay())
  await Promise.all(calls)
  assert.deepEqual(asked, ids)
  assert.deepEqual(app.done, ids)
  assert.deepEqual(await app.log(), ids)
})

test('an outbox leaves nothing lying that comes while it ends', async t => {
  const app = await App.start(t)
  const queue = []
  let ended
  const replay = app.outbox(queue, app.say, { ended: () => ended() })
  await replay()
  const ids = []
  // However many steps there are between its last look at the queue and its end, one of these falls there.
  for (let steps = 0; steps <= 12; steps += 1) {
    const [first, next] = app.sends(2)
    ids.push(first.id, next.id)
    const pushed = new Promise(resolve => {
      ended = async () => {
        ended = () => {}
        for (let step = 0; step < steps; step += 1) await null
        queue.push(next)
        resolve(replay())
      }
    })
    queue.push(first)
    await replay()
    assert.equal(app.done.at(ids.length - 2), first.id)
    await pushed
    assert.deepEqual(queue, [], `what came ${steps} steps later is left`)
  }
  assert.deepEqual(app.done, ids)
  assert.deepEqual(await app.log(), ids)
})

test('an outbox gives up what a silent line does not answer, and says it again', async t => {
  const app = await App.start(t)
  const proxy = await Proxy.listen(t, () => app.server.port)
  const plans = [{ down: 1, up: Infinity, how: 'silence' }]
  proxy.plan = () => plans.shift() ?? { down: Infinity, up: Infinity, how: 'end' }
  const [first, second] = app.sends(2)
  const signals = []
  const watched = new Watched()
  const replayed = app.outbox([first, second], ({ input }, signal) => {
    signals.push(signal)
    watched.changed()
    // Whoever asks need not heed the signal.
    return signals.length === 3 ? new Promise(() => {}) : post(proxy.http, token('ada'), SEND, { input }, signal)
  })()
  await proxy.until(() => proxy.cuts === 1, () => 'the line is not silent')
  app.clock.ring()
  await watched.until(() => signals.length === 3, () => 'the first message was not said again')
  app.clock.ring()
  await replayed
  assert.deepEqual(signals.map(signal => signal?.aborted), [true, false, true, false])
  assert.deepEqual(app.clock.left, [], 'no timer outlives its answer')
  assert.ok(app.clock.waits.every(ms => ms > 10_000), 'the server may take 10 s')
  assert.deepEqual(app.done, [first.id, second.id])
  assert.deepEqual(await app.log(), [first.id, second.id])
})

test('signing out empties an outbox: what comes after is neither skipped nor told of what was before', async t => {
  const app = await App.start(t)
  const [left, next] = app.sends(2)
  const queue = [left]
  const saved = []
  const ask = async operation => {
    const answer = await app.say(operation)
    if (operation === left) queue.splice(0, Infinity, next)
    return answer
  }
  await app.outbox(queue, ask, { save: () => saved.push(queue.length) })()
  assert.deepEqual(app.done, [next.id])
  assert.deepEqual(saved, [0])
  assert.deepEqual(await app.log(), [left.id, next.id])
})

test('one outbox does not wait for another', async t => {
  const app = await App.start(t)
  const [slow, quick] = app.sends(2)
  let heard
  const answered = app.outbox([slow], () => new Promise(resolve => { heard = resolve }))()
  await app.outbox([quick], app.say)()
  assert.deepEqual(app.done, [quick.id])
  heard(await app.say(slow))
  await answered
  assert.deepEqual(app.done, [quick.id, slow.id])
})

/** The app from its start until its connection is cut, which is its end, or until nothing is left to be said. */
async function live({ server, proxy, disk, told }, open, elsewhere) {
  const transport = open(proxy)
  const gone = new Promise(() => {})
  let dead = false
  const ask = async operation => {
    if (dead) return gone
    const answer = await transport.ask(DOCUMENTS[operation.kind], { input: operation.input }).catch(error => {
      told.unanswered += 1
      throw error
    })
    if (dead) return gone
    told.hear(answer)
    return answer
  }
  const queue = disk.queue
  const outbox = printedOutbox(async ms => {
    await server.ready
    await new Promise(resolve => setTimeout(resolve, Math.min(ms, 20)))
  })
  const replay = outbox(queue, () => disk.save(queue), ask, {
    done: (operation, data) => {
      if (data.sendMessage?.duplicate) told.duplicates += 1
      if (data.sendMessage) elsewhere.known(operation.id, data.sendMessage)
      told.done.push(operation)
    },
    refused: (operation, { code }) => {
      assert.equal(code, 'CONFLICT')
      told.conflicts.push(operation)
    },
  })
  const cuts = proxy.cuts
  await Promise.race([replay(), proxy.until(() => dead || proxy.cuts > cuts, () => 'neither cut nor done')])
  dead = true
  proxy.changed()
  transport.close()
}

function overHttp(proxy) {
  return { ask: (query, variables) => post(proxy.http, token('ada'), query, variables), close() {} }
}

function overSocket(proxy) {
  const client = createClient({
    url: proxy.ws,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: () => ({ Authorization: `Bearer ${token('ada')}` }),
  })
  const ask = (query, variables) =>
    new Promise((resolve, reject) => {
      const error = error => (Array.isArray(error) ? resolve({ errors: error }) : reject(error))
      client.subscribe({ query, variables }, { next: resolve, error, complete() {} })
    })
  return { ask, close: () => client.dispose() }
}

function exactlyOnceAndInOrder(log, operations, told, others) {
  const of = kind => operations.filter(operation => operation.kind === kind)
  const sent = log.filter(({ __typename }) => __typename === 'MessageSent').map(({ message }) => message.id)
  assert.deepEqual(sent, of('send').map(({ id }) => id), 'each send once, in the order of the queue')
  const times = (type, id) => log.filter(({ __typename, message }) => __typename === type && message.id === id).length
  const refused = new Set(told.conflicts)
  const done = told.done.filter(operation => !refused.has(operation))
  for (const id of new Set(operations.map(operation => operation.id))) {
    const edits = done.filter(operation => operation.kind === 'edit' && operation.id === id).length
    assert.equal(times('MessageEdited', id), edits + (others.edits.has(id) ? 1 : 0), `edits of ${id}`)
    const isDeleted = others.deleted.has(id) || of('delete').some(operation => operation.id === id)
    assert.equal(times('MessageDeleted', id), isDeleted ? 1 : 0, `deletions of ${id}`)
  }
  for (const operation of told.conflicts) {
    assert.ok(operation.kind === 'edit' && others.touched(operation.id), 'a conflict is what someone else has changed')
  }
  assert.equal(told.done.length + told.conflicts.length - (told.again ? 1 : 0), operations.length, 'each operation has its answer')
}
