// A real server process on a fresh database, that can be killed and started again on the same port.

import { spawn, execFileSync } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { within } from './wait.mjs'

const START_MS = 60_000
const secret = randomBytes(32).toString('hex')

function binary() {
  if (process.env.TIDINGS_BIN) return process.env.TIDINGS_BIN
  const target = fileURLToPath(new URL('../../../target/', import.meta.url))
  const found = ['debug', 'release'].map(profile => join(target, profile, 'tidings')).find(existsSync)
  if (!found) throw new Error('no server binary: run `cargo build` or set TIDINGS_BIN')
  return found
}

/** A token of this user, made as any issuer would make it. `ttl` in seconds; negative is expired. */
export function token(user, ttl = 3600, key = secret) {
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, name: user, iat: now - 60, exp: now + ttl })}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

export class Server {
  #child
  #killed
  #dir = mkdtempSync(join(tmpdir(), 'tidings-clients-'))
  #log = ''
  #settings
  port = 0
  /** Settles when the newest start is serving. */
  ready

  /** Starts one, with these settings, and removes it and its folder when the test ends. */
  static async start(t, settings = {}) {
    const server = new Server()
    server.#settings = settings
    process.on('exit', () => server.#remove())
    t?.after(() => server.#remove())
    await server.start()
    return server
  }

  get ws() {
    return `ws://127.0.0.1:${this.port}/graphql`
  }

  get http() {
    return `http://127.0.0.1:${this.port}/graphql`
  }

  /** The newest lines that the server logged. */
  get log() {
    return this.#log.slice(-4000)
  }

  start() {
    this.ready = this.#start()
    return this.ready
  }

  async #start() {
    const child = spawn(binary(), ['serve'], { cwd: this.#dir, env: this.#env(), stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    const bound = new Promise((resolve, reject) => {
      let said = ''
      const read = chunk => {
        this.#log = (this.#log + chunk).slice(-64_000)
        if (said === null) return
        said += chunk
        const address = /"listening":"127\.0\.0\.1:(\d+)"/.exec(said)
        if (!address) return
        said = null
        resolve(Number(address[1]))
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.once('error', reject)
      child.once('exit', (code, signal) => reject(new Error(`the server ended (${code ?? signal}): ${this.log}`)))
    })
    bound.catch(() => {})
    this.port = await within(START_MS, bound, () => `the server did not name its address: ${this.log}`)
    await within(START_MS, this.#serves(child), () => `the server is not ready: ${this.log}`)
  }

  async #serves(child) {
    while (child.exitCode === null && child.signalCode === null) {
      const ready = await fetch(new URL('/readyz', this.http)).then(answer => answer.ok, () => false)
      if (ready) return
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  /** SIGKILL, then a start on the same port and file. */
  async kill() {
    if (this.#killed !== this.#child) {
      this.#killed = this.#child
      this.ready = once(this.#child, 'exit').then(() => this.#start())
      this.#child.kill('SIGKILL')
    }
    return this.ready
  }

  /** What `tidings token` prints for this user. */
  printedToken(user) {
    return execFileSync(binary(), ['token', '--user', user], { cwd: this.#dir, env: this.#env(), encoding: 'utf8' })
  }

  #env() {
    const clean = Object.entries(process.env).filter(([name]) => !name.startsWith('TIDINGS_'))
    return {
      ...Object.fromEntries(clean),
      TIDINGS_BIND: `127.0.0.1:${this.port}`,
      TIDINGS_DATABASE_URL: `sqlite://${join(this.#dir, 'tidings.db')}`,
      TIDINGS_JWT_SECRET: secret,
      TIDINGS_LOG_FORMAT: 'json',
      TIDINGS_MUTATIONS_PER_SECOND: '0',
      TIDINGS_CONNECTIONS_PER_USER: '0',
      TIDINGS_CONNECTIONS_PER_IP: '0',
      ...this.#settings,
    }
  }

  #remove() {
    this.#child?.kill('SIGKILL')
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
