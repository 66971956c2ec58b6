// A browser's own EventSource, which can send no token, by the recipe that docs/clients.md prints.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { addressed, block } from '../clients/src/printed.mjs'
import { Proxy } from '../clients/src/proxy.mjs'
import { DEADLINE_MS, launch } from './browser.js'
import { ask, serve } from './server.js'

const SENT = 'subscription ($roomId: ID!, $after: Cursor) { messageSent(roomId: $roomId, after: $after) { body } }'

let server
let browser

before(async () => {
  server = await serve({ TIDINGS_PING_INTERVAL_SECS: '2' })
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await server?.stop()
})

async function room(name) {
  const { createRoom } = await ask(server, 'ada', `mutation { createRoom(input: { name: "${name}" }) { room { id } } }`)
  return createRoom.room.id
}

const say = (roomId, body) =>
  ask(server, 'ada', `mutation { sendMessage(input: { roomId: "${roomId}", body: "${body}" }) { message { id } } }`)

/** A page that runs the recipe, and hears what is said in rooms by their names. The recipe's seconds pass `haste` times faster. */
async function visit(proxy, haste = 1) {
  const page = await browser.newPage()
  page.setDefaultTimeout(DEADLINE_MS)
  // Of the server's own origin; nothing is on it.
  await page.goto(proxy.http.replace('/graphql', '/healthz'))
  await page.exposeFunction('fetchToken', () => server.token('ada'))
  const recipe = addressed(block('EventSource', 'js'), { ws: proxy.ws, http: proxy.http })
  await page.evaluate(([recipe, haste]) => {
    const body = `${recipe.replace('export function', 'function')}\nreturn follow`
    const timers = {
      setTimeout: (act, ms) => setTimeout(act, ms / haste),
      AbortSignal: { timeout: ms => AbortSignal.timeout(ms / haste) },
    }
    window.follow = new Function('token', ...Object.keys(timers), body)(window.fetchToken, ...Object.values(timers))
    window.heard = {}
    window.stop = {}
    window.opened = 0
    const Native = window.EventSource
    window.EventSource = class extends Native {
      constructor(url) {
        super(url)
        this.addEventListener('open', () => { window.opened += 1 })
      }
    }
  }, [recipe, haste])
  return page
}

const follow = (page, name, roomId, after) =>
  page.evaluate(
    ([name, query, variables]) => {
      window.heard[name] = []
      window.stop[name] = window.follow(query, variables, {
        next: ({ data, errors }) => window.heard[name].push(errors ? errors[0].extensions.code : data.messageSent.body),
        complete: () => window.heard[name].push('complete'),
      })
    },
    [name, SENT, { roomId, after }],
  )

const hears = (page, name, bodies) =>
  page.waitForFunction(([name, expected]) => window.heard[name].join() === expected, [name, bodies.join()])

test('an EventSource signs in, carries several subscriptions and loses nothing when it is cut off', async t => {
  const proxy = await Proxy.listen(t, () => Number(new URL(server.url).port))
  const [one, two] = [await room('one'), await room('two')]
  const { head } = await ask(server, 'ada', '{ head }')
  const page = await visit(proxy)
  await follow(page, 'one', one, head)
  await follow(page, 'two', two, head)
  await say(one, 'a')
  await say(two, 'b')
  await Promise.all([hears(page, 'one', ['a']), hears(page, 'two', ['b'])])
  assert.equal(await page.evaluate('opened'), 1)

  for (const round of ['c', 'd']) {
    proxy.refuse()
    await say(one, round)
    await say(two, round)
    proxy.admit()
    await page.waitForFunction(round => Object.values(window.heard).every(bodies => bodies.includes(round)), round)
  }
  await Promise.all([hears(page, 'one', ['a', 'c', 'd']), hears(page, 'two', ['b', 'c', 'd'])])
  assert.equal(await page.evaluate('opened'), 3, 'one stream at a time')

  // One that is done away with is silent, and one that is refused is told so.
  await page.evaluate('stop.one()')
  await follow(page, 'nowhere', '00000000-0000-7000-8000-00000000dead')
  await hears(page, 'nowhere', ['NOT_FOUND', 'complete'])
  await say(one, 'e')
  await say(two, 'e')
  await hears(page, 'two', ['b', 'c', 'd', 'e'])
  await hears(page, 'one', ['a', 'c', 'd'])
  await page.close()
})

test('a reservation that comes when another has been asked for opens no second stream', async t => {
  const proxy = await Proxy.listen(t, () => Number(new URL(server.url).port))
  const [one, two] = [await room('early'), await room('late')]
  const { head } = await ask(server, 'ada', '{ head }')
  const page = await visit(proxy)
  // Held back until the test says so, and then answered or failed.
  await page.evaluate(() => {
    const native = window.fetch
    window.held = []
    window.holding = []
    window.puts = 0
    window.fetch = async (url, options) => {
      if (options.method === 'PUT') window.puts += 1
      if (window.holding.includes(options.method)) {
        const answer = options.method === 'PUT' ? await native(url, options) : undefined
        await new Promise(resolve => window.held.push({ method: options.method, resolve }))
        if (!answer) throw new TypeError('Failed to fetch')
        return answer
      }
      return native(url, options)
    }
    window.release = method => {
      const at = window.held.findIndex(held => held.method === method)
      window.held.splice(at, 1)[0].resolve()
    }
  })
  const holds = (...methods) =>
    page.waitForFunction(expected => window.held.map(held => held.method).join() === expected, methods.join())

  await follow(page, 'one', one, head)
  await say(one, 'a')
  await hears(page, 'one', ['a'])

  // A subscription begins on the old stream, slowly; that is cut, and another is asked for, slowly as well.
  await page.evaluate(() => { window.holding = ['POST', 'PUT'] })
  await follow(page, 'two', two, head)
  await holds('POST')
  proxy.refuse()
  proxy.admit()
  await holds('POST', 'PUT')
  // The first fails, so a third is asked for. Only then does the second come.
  await page.evaluate(() => window.release('POST'))
  await holds('PUT', 'PUT')
  await page.evaluate(() => {
    window.holding = []
    window.release('PUT')
  })
  await page.evaluate(() => window.release('PUT'))
  await page.waitForFunction('opened >= 2')
  await say(one, 'b')
  await say(two, 'b')
  await say(one, 'c')
  await page.waitForFunction(() => window.heard.one.includes('c') && window.heard.two.includes('b'))
  // Whatever came twice came before this.
  await say(one, 'd')
  await page.waitForFunction(() => window.heard.one.includes('d'))
  assert.deepEqual(await page.evaluate('heard'), { one: ['a', 'b', 'c', 'd'], two: ['b'] })
  assert.equal(await page.evaluate('opened'), 2, 'one stream for each time that it was there')
  await page.close()
})

test('an EventSource notices a line that has gone silent', async t => {
  const proxy = await Proxy.listen(t, () => Number(new URL(server.url).port))
  const lift = await room('lift')
  const { head } = await ask(server, 'ada', '{ head }')
  const page = await visit(proxy, 10)
  await follow(page, 'lift', lift, head)
  await say(lift, 'a')
  await hears(page, 'lift', ['a'])

  // The next one is silent from the first byte of its answer.
  proxy.plan = () => ({ down: proxy.cuts ? Infinity : 1, up: Infinity, how: 'silence' })
  proxy.silence()
  await say(lift, 'b')
  await hears(page, 'lift', ['a', 'b'])
  assert.ok(proxy.cuts > 0, 'one was silent from its beginning')
  await say(lift, 'c')
  await hears(page, 'lift', ['a', 'b', 'c'])
  await page.close()
})

test('an EventSource asks anew where a subscription is not answered on a stream that lives', async t => {
  const proxy = await Proxy.listen(t, () => Number(new URL(server.url).port))
  const tunnel = await room('tunnel')
  const { head } = await ask(server, 'ada', '{ head }')
  const page = await visit(proxy, 10)
  // The first never arrives.
  await page.evaluate(() => {
    const native = window.fetch
    window.posts = 0
    window.fetch = (url, options) => {
      if (options.method !== 'POST' || window.posts++) return native(url, options)
      return new Promise((_, reject) => options.signal?.addEventListener('abort', () => reject(options.signal.reason)))
    }
  })
  await follow(page, 'tunnel', tunnel, head)
  await say(tunnel, 'a')
  await hears(page, 'tunnel', ['a'])
  assert.ok((await page.evaluate('posts')) > 1)
  await page.close()
})

test('who unsubscribes where nothing can be reserved is told of no error', async t => {
  const proxy = await Proxy.listen(t, () => Number(new URL(server.url).port))
  const nowhere = await room('no way')
  const { head } = await ask(server, 'ada', '{ head }')
  const page = await visit(proxy)
  await follow(page, 'nowhere', nowhere, head)
  await say(nowhere, 'a')
  await hears(page, 'nowhere', ['a'])
  const refused = page.waitForEvent('requestfailed', request => request.method() === 'PUT')
  proxy.refuse()
  await refused
  await page.evaluate('stop.nowhere()')
  await page.close()
})
