// Chromium with witnesses: what a page asks of other hosts, and what it complains about.

import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { chromium } from 'playwright-core'

const SCREENSHOTS = process.env.SCREENSHOTS ?? fileURLToPath(new URL('../../target/browser/', import.meta.url))

/** Longer than anything takes on a busy machine; only a test that fails waits for so long. */
export const DEADLINE_MS = 60_000

/** Starts CHROMIUM, else Debian's, quiet: it asks no one for updates. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    timeout: DEADLINE_MS,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** A page in a context of its own, after `prepare(page)`; `faults` gathers all that must not happen. */
export async function open(browser, server, path, prepare = async () => {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } })
  context.setDefaultTimeout(DEADLINE_MS)
  const faults = []
  const fault = text => faults.push(text.slice(0, 300)) // Some addresses are whole fonts.
  const { host } = new URL(server.url)
  const watch = address => {
    const { protocol, host: other } = new URL(address)
    if (protocol !== 'data:' && other !== host) fault(`asks ${address}`)
  }
  context.on('request', request => watch(request.url()))
  context.on('response', response => response.status() >= 400 && fault(`${response.status()} ${response.url()}`))
  const page = await context.newPage()
  page.on('websocket', socket => watch(socket.url()))
  page.on('pageerror', error => fault(`throws ${error}`))
  page.on('console', message => ['error', 'warning'].includes(message.type()) && fault(`logs ${message.text()}`))
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', event =>
      console.error(`the policy refused ${event.blockedURI} (${event.violatedDirective})`))
  })
  await prepare(page)
  await page.goto(server.url + path)
  return { page, faults, close: () => context.close() }
}

/** Keeps what the page looks like, outside of git. */
export async function screenshot(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true })
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` })
}

/**
 * Takes the page's sockets in hand before it loads; the returned function cuts those that are open, with a close code that is
 * neither normal nor fatal to a client.
 */
export async function cuttable(page) {
  const open = new Set()
  await page.routeWebSocket(/./, socket => {
    const upstream = socket.connectToServer()
    open.add([socket, upstream])
  })
  return async () => {
    for (const pair of open) {
      open.delete(pair)
      await Promise.all(pair.map(side => side.close({ code: 4999, reason: 'cut' })))
    }
  }
}
