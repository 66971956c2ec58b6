// A server to test against: the one at TIDINGS_URL, else TIDINGS_BIN started on a port of its own with a fresh database.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const BINARY = process.env.TIDINGS_BIN ?? fileURLToPath(new URL('../../target/debug/tidings', import.meta.url))

/** How long a server may take until it prints its address. */
const START_MS = 60_000

/** `url` without a slash at its end, `token(user)` as someone outside the browser gets one, and `stop()`. What is started has these settings. */
export async function serve(settings = {}) {
  if (process.env.TIDINGS_URL) return running(process.env.TIDINGS_URL.replace(/\/$/, ''))
  const folder = await mkdtemp(join(tmpdir(), 'tidings-browser-'))
  const env = {
    ...process.env,
    ...settings,
    TIDINGS_BIND: '127.0.0.1:0',
    TIDINGS_DATABASE_URL: `sqlite://${join(folder, 'tidings.db')}`,
  }
  const child = spawn(BINARY, ['serve'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const stop = async () => {
    if (child.exitCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    await rm(folder, { recursive: true })
  }
  const token = async user => {
    const { stdout } = await promisify(execFile)(BINARY, ['token', '--user', user], { cwd: folder, env })
    return stdout.trim()
  }
  try {
    return { url: await address(child), token, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A server that someone else has started; in development mode its playground hands out tokens. */
function running(url) {
  const token = async user => {
    if (process.env.TIDINGS_TOKEN) return process.env.TIDINGS_TOKEN
    const response = await fetch(`${url}/playground/config.json?user=${user}`)
    return (await response.json()).token
  }
  return { url, token, stop: async () => {} }
}

function address(child) {
  return new Promise((resolve, reject) => {
    let said = ''
    const timer = setTimeout(() => reject(new Error(`no address within ${START_MS} ms:\n${said}`)), START_MS)
    const read = chunk => {
      said += chunk
      const found = /127\.0\.0\.1:[1-9]\d*(?=\D)/.exec(said)
      if (!found) return
      clearTimeout(timer)
      resolve(`http://${found[0]}`)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('error', reject)
    child.on('exit', code => reject(new Error(`${BINARY} ended with ${code}:\n${said}`)))
  })
}

/** One request to the API, as a program outside the browser makes it. */
export async function ask(server, user, query) {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await server.token(user)}` },
    body: JSON.stringify({ query }),
  })
  const { data, errors } = await response.json()
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}
