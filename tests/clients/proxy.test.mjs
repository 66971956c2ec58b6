// The bad network that the other tests rely on is as bad as it says, and no worse: what it carries, it carries whole and in order.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { chance, seed } from './src/chance.mjs'
import { Proxy } from './src/proxy.mjs'

const draw = { below: () => 0 }
const link = given => ({ name: 'test', latency: 0, jitter: 0, bytesPerSec: Infinity, draw, ...given })
const bytes = count => Buffer.from(Array.from({ length: count }, (_, at) => at % 251))

/** Says `text` to everyone, and then closes if it `closes`; keeps what it is told, and how its first connection ended. */
async function speaker(t, text, closes) {
  const heard = []
  const server = createServer()
  const ended = new Promise(resolve => {
    server.on('connection', socket => {
      socket.on('data', chunk => heard.push(chunk))
      socket.on('end', () => resolve('end'))
      socket.on('error', ({ code }) => resolve(code))
      if (closes) socket.end(text)
      else if (text) socket.write(text)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { port: server.address().port, heard: () => Buffer.concat(heard), ended }
}

/** What comes over a connection of this plan until it is over, how it ended for who spoke, and the milliseconds that took. */
async function hear(t, text, plan) {
  const { port, ended } = await speaker(t, text, !plan.how)
  const proxy = await Proxy.listen(t, () => port)
  proxy.plan = () => ({ down: Infinity, up: Infinity, how: 'end', ...plan })
  const began = performance.now()
  const socket = connect(new URL(proxy.http).port, '127.0.0.1')
  const chunks = []
  socket.on('data', chunk => chunks.push(chunk))
  socket.on('error', () => {})
  await new Promise(resolve => socket.once('close', resolve))
  return { heard: Buffer.concat(chunks), how: await ended, took: performance.now() - began, cuts: proxy.cuts }
}

test('a slow line is late by what it says and loses nothing', async t => {
  const { heard, how, took } = await hear(t, bytes(100_000), { link: link({ latency: 120 }) })
  assert.deepEqual([heard.equals(bytes(100_000)), how], [true, 'end'])
  // Timers of Node are exact to a millisecond.
  assert.ok(took >= 119, `${took} ms`)
})

test('a narrow line carries so much a second and loses nothing', async t => {
  const { heard, how, took } = await hear(t, bytes(25_000), { link: link({ bytesPerSec: 50_000 }) })
  assert.deepEqual([heard.equals(bytes(25_000)), how], [true, 'end'])
  assert.ok(took >= 499, `${took} ms`)
})

test('an unsteady line keeps bytes in order', async t => {
  t.diagnostic(`SEED=${seed}`)
  const { heard } = await hear(t, bytes(400_000), { link: link({ jitter: 30, draw: chance('jitter') }) })
  assert.ok(heard.equals(bytes(400_000)))
})

for (const [line, given] of [['a good line', {}], ['a bad line', { link: link({ latency: 20, bytesPerSec: 50_000 }) }]]) {
  for (const [how, seen] of [['end', 'end'], ['reset', 'ECONNRESET']]) {
    test(`${line} is cut at the byte that was said, by ${how}`, async t => {
      for (const down of [1, 4_096, 9_999]) {
        const got = await hear(t, bytes(10_000), { ...given, down, how })
        assert.deepEqual([got.how, got.cuts], [seen, 1])
        // A reset may overtake what is on its way.
        const [least, most] = [how === 'end' ? down : 0, down]
        assert.ok(got.heard.length >= least && got.heard.length <= most, `${got.heard.length} of ${down}`)
        assert.ok(got.heard.equals(bytes(got.heard.length)))
      }
    })
  }
}

test('a line that goes silent carries nothing more and tells nobody', async t => {
  const { port, heard } = await speaker(t)
  const proxy = await Proxy.listen(t, () => port)
  proxy.plan = () => ({ down: Infinity, up: 1_000, how: 'silence', link: link({ latency: 10 }) })
  const socket = connect(new URL(proxy.http).port, '127.0.0.1')
  t.after(() => socket.destroy())
  for (const event of ['end', 'error', 'close']) socket.on(event, () => assert.fail(event))
  socket.write(bytes(2_000))
  await proxy.until(() => proxy.cuts === 1, () => 'it is not silent')
  socket.write(bytes(2_000))
  // Another line is open, over which something comes and goes meanwhile.
  proxy.plan = () => ({ down: Infinity, up: 5, how: 'end', link: link({ latency: 50 }) })
  const other = connect(new URL(proxy.http).port, '127.0.0.1')
  other.write('hello there')
  other.resume()
  await once(other, 'end')
  while (heard().length < 1_005) await new Promise(resolve => setImmediate(resolve))
  socket.removeAllListeners()
  assert.ok(heard().equals(Buffer.concat([bytes(1_000), Buffer.from('hello')])))
})
