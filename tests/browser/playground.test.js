// What a stranger sees who opens the printed address in a browser.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'

import { buildClientSchema, getIntrospectionQuery, parse, validate } from 'graphql'

import { EXAMPLES as SMALL } from '../../web/small/examples.js'
import { LOBBY, examples } from '../../web/src/examples.js'
import { cuttable, launch, open, screenshot } from './browser.js'
import { ask, serve } from './server.js'

let server
let browser

before(async () => {
  server = await serve()
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await server?.stop()
})

/** Opens pages, does something with them, and demands that none of them complained or asked another host. */
async function visit(name, paths, act, prepare) {
  const opened = await Promise.all(paths.map(path => open(browser, server, path, prepare)))
  const pages = opened.map(({ page }) => page)
  try {
    await act(...pages)
  } finally {
    await Promise.all(pages.map((page, index) => screenshot(page, `${name}-${index + 1}`)))
    const faults = opened.flatMap(({ faults }) => faults)
    await Promise.all(opened.map(({ close }) => close()))
    assert.deepEqual(faults, [])
  }
}

/** Someone else says something new in the lobby: one short word, since the editors wrap lines. */
async function say(user) {
  const body = `${user}-${randomUUID().slice(0, 8)}`
  await ask(server, user, `mutation { sendMessage(input: { roomId: "${LOBBY}", body: "${body}" }) { message { id } } }`)
  return body
}

/** Monaco shows spaces as no-break spaces. */
function shows(page, selector, text, options) {
  return page.waitForFunction(
    ([selector, text]) => {
      const shown = [...document.querySelectorAll(selector)].map(element => element.textContent).join('\n')
      return shown.replaceAll('\u00a0', ' ').includes(text)
    },
    [selector, text],
    options,
  )
}

const RESPONSE = '.graphiql-response .view-lines'
const LOBBY_PANEL = '.tidings-lobby ul'

/** Live, and all four editors there: before that the button does nothing. */
async function ready(page) {
  await page.locator('.tidings-status[data-live="true"]').waitFor()
  await page.waitForFunction(() => document.querySelectorAll('.monaco-editor .view-lines').length === 4)
}

const tab = (page, name) => page.locator('.graphiql-tab-button', { hasText: name }).click()
const run = page => page.locator('.graphiql-execute-button').click()

async function startGraphiql(page) {
  await ready(page)
  await tab(page, 'Subscribe')
  await run(page)
  await shows(page, RESPONSE, '"status": "live"')
}

async function startSmall(page) {
  await page.waitForFunction(() => document.getElementById('token').value !== '')
  await page.locator('#example').selectOption('Subscribe to the lobby')
  await page.getByRole('button', { name: 'Run' }).click()
  await page.locator('#status', { hasText: 'live' }).waitFor()
}

test('every example is valid', async () => {
  const schema = buildClientSchema(await ask(server, 'carol', getIntrospectionQuery()))
  const all = [...examples('ada', null), ...Object.values(SMALL).map(make => ({ query: make('ada') }))]
  for (const { query } of all) {
    assert.deepEqual(validate(schema, parse(query)).map(String), [], query)
  }
})

test('GraphiQL loads, signed in, with the docs, and asks no other host', () =>
  visit('docs', ['/'], async page => {
    await ready(page)
    assert.equal(await page.title(), 'Tidings')
    await page.getByRole('button', { name: 'Headers', exact: true }).click()
    await shows(page, '.graphiql-editor-tool .view-lines', '"Authorization": "Bearer ')
    assert.match(await page.locator('.tidings-who').innerText(), /you are ada/)
    await page.getByRole('button', { name: /Documentation/ }).click()
    await shows(page, '.graphiql-doc-explorer', 'Subscription')
  }))

test('a message sent from elsewhere is shown by the subscription and in the lobby', () =>
  visit('subscribed', ['/'], async page => {
    await startGraphiql(page)
    const bodies = [await say('carol'), await say('dave')]
    for (const body of bodies) {
      await shows(page, LOBBY_PANEL, body)
      await shows(page, RESPONSE, body)
    }
    await shows(page, RESPONSE, '"received": 2')
  }))

test('what one user sends arrives with another, once', () =>
  visit('two-users', ['/', '/?user=bob'], async (ada, bob) => {
    await ready(bob)
    await ready(ada)
    await run(ada)
    for (const page of [ada, bob]) {
      await shows(page, LOBBY_PANEL, 'Hello from ada')
      assert.equal(await page.locator('.tidings-lobby li').count(), 1)
    }
    await shows(ada, RESPONSE, '"duplicate": false')
    await run(bob)
    await shows(ada, LOBBY_PANEL, 'Hello from bob')
  }))

test('the resume example brings what was missed since the page was opened', () =>
  visit('resumed', ['/'], async page => {
    await ready(page)
    await run(page) // Sending makes ada a member: `events` are of one's own rooms.
    await shows(page, LOBBY_PANEL, 'Hello from ada')
    const missed = await say('carol')
    await tab(page, 'Resume')
    await run(page)
    await shows(page, RESPONSE, 'CaughtUp')
    await shows(page, RESPONSE, missed)
    await tab(page, 'Changes')
    await run(page)
    await shows(page, RESPONSE, '"reset": false')
    await tab(page, 'WhoAmI')
    await run(page)
    await shows(page, RESPONSE, '"viewer"')
  }))

for (const [name, path, start, shown] of [
  ['GraphiQL', '/', ready, LOBBY_PANEL],
  ['small', '/playground/small', startSmall, '#log'],
]) {
  test(`a socket that is cut loses nothing: ${name}`, () => {
    let cut
    const act = async page => {
      await start(page)
      // The page is live before its subscription is: what is said too early is not its to show.
      let first
      do first = await say('carol')
      while (!(await shows(page, shown, first, { timeout: 3_000 }).then(() => true, () => false)))
      await cut()
      const missed = [await say('carol'), await say('dave')]
      for (const body of missed) await shows(page, shown, body)
      const text = await page.locator(shown).innerText()
      for (const body of [first, ...missed]) assert.equal(text.split(body).length, 2, `${body} once`)
    }
    return visit(`cut-${name}`, [path], act, async page => {
      cut = await cuttable(page)
    })
  })
}

test('tabs and the token outlive a reload', () =>
  visit('reloaded', ['/'], async page => {
    await ready(page)
    await tab(page, 'WhoAmI')
    const kept = 'tidings:ada:graphiql:tabState'
    await page.waitForFunction(key => JSON.parse(localStorage[key] ?? '{}').activeTabIndex === 5, kept)
    await page.reload()
    await ready(page)
    assert.doesNotMatch(await page.evaluate(() => JSON.stringify(localStorage)), /Bearer/)
    await run(page)
    await shows(page, RESPONSE, '"viewer"')
  }))

test('the small page sends, subscribes and logs', () =>
  visit('small', ['/playground/small'], async page => {
    const run = () => page.getByRole('button', { name: 'Run' }).click()
    const status = text => page.locator('#status', { hasText: text }).waitFor()
    await page.waitForFunction(() => document.getElementById('token').value !== '')
    await run()
    await shows(page, '#log', '"duplicate": false')
    await startSmall(page)
    await shows(page, '#log', await say('carol'))
    await page.getByRole('button', { name: 'Stop' }).click()
    await status('stopped')
    await page.locator('#example').selectOption('Follow everything')
    await page.locator('#variables').fill('{ "after": null }')
    await run()
    await status('live')
  }))
