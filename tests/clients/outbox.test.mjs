import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { Api, post, uuid } from './src/api.mjs'
import { chance, seed } from './src/chance.mjs'
import { CREATE_ROOM, DELETE, EDIT, HEAD, SEND } from './src/documents.mjs'
import { readLog } from './src/log.mjs'
import { Disk, Offline, printedReplay } from './src/outbox.mjs'
import { Proxy } from './src/proxy.mjs'
import { Server, token } from './src/server.mjs'

const OPERATIONS = 150
const LIVES = 8
const DOCUMENTS = { send: SEND, edit: EDIT, delete: DELETE }

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
  const replay = printedReplay(ms => {
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
  await replay(queue, () => {}, hear, { done: (_, data) => done.push(data.sendMessage.message.id), refused: assert.fail })
  assert.deepEqual(done, ids)
  assert.deepEqual(waits, limits)
  assert.ok(limits.length > 0)
})

/** What the app was told of its operations. */
class Told {
  done = []
  conflicts = []
  duplicates = 0
  unanswered = 0

  hear({ errors }) {
    const { code, retryable } = errors?.[0].extensions ?? {}
    if (code === 'CONFLICT') assert.equal(retryable, false)
    else assert.ok(!errors || retryable, `${code} is neither a conflict nor to be tried again`)
  }
}

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
  const replay = printedReplay(async ms => {
    await server.ready
    await new Promise(resolve => setTimeout(resolve, Math.min(ms, 20)))
  })
  const replayed = replay(queue, () => disk.save(queue), ask, {
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
  await Promise.race([replayed, proxy.until(() => dead || proxy.cuts > cuts, () => 'neither cut nor done')])
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

/** The same person on another device, between the lives of the first. */
class Elsewhere {
  edits = new Map()
  deleted = new Set()
  #api
  #draw
  #known

  constructor(api, draw, known) {
    this.#api = api
    this.#draw = draw
    this.#known = known
  }

  /** A send was answered: with the message as it is now. */
  known(id, { message, duplicate }) {
    if (this.deleted.has(id)) assert.equal(message.body, null)
    if (this.edits.has(id)) assert.ok(duplicate && message.version > 1)
    this.#known.push(id)
  }

  touched(id) {
    return this.edits.has(id) || this.deleted.has(id)
  }

  /** Edits one and deletes one - also what was said last, which may have been done without an answer. */
  async act(queue, told) {
    const next = queue[0]
    // Whether an edit in doubt has been done cannot be told apart once someone else has edited.
    const free = this.#known.filter(id => !this.touched(id) && !(next?.kind === 'edit' && next.id === id))
    if (next?.kind === 'send' && this.#draw.oneIn(2)) free.unshift(next.id)
    for (const act of ['edit', 'delete']) {
      const id = act === 'edit' ? free.shift() : free.splice(this.#draw.below(free.length), 1)[0]
      if (!id || told.done.some(operation => operation.kind === 'delete' && operation.id === id)) continue
      const input = { messageId: id, ...(act === 'edit' && { body: `elsewhere ${id}` }) }
      const done = await this.#api.ask(DOCUMENTS[act], { input }).catch(error => error)
      // It has not been sent, or has been deleted without an answer.
      if (done.code) {
        assert.ok(['NOT_FOUND', 'CONFLICT'].includes(done.code), done.message)
        continue
      }
      if (act === 'edit') this.edits.set(id, told.done.length)
      else this.deleted.add(id)
    }
  }
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
