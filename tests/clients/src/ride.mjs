// The ride that every client is taken on: it subscribes, sends, edits and deletes over bad networks, while its connection is
// cut again and again and the server is killed under it, and in the end each subscription has delivered exactly the log, in order.

import assert from 'node:assert/strict'
import { Api } from './api.mjs'
import { chance, seed } from './chance.mjs'
import { CREATE_ROOM, EVENTS, HEAD, MESSAGE_SENT } from './documents.mjs'
import { badLinks, noLinks } from './link.mjs'
import { readLog, Stream } from './log.mjs'
import { Proxy } from './proxy.mjs'
import { Ledger, Sender } from './senders.mjs'
import { Server, token } from './server.mjs'

const SENDERS = 4

/**
 * `open` makes the client under test: see clients/*.mjs. `cuts` connections are cut, `kills` of them by SIGKILL to the server
 * and `silences` by nothing at all, which only a client notices that asks; `history` events are in the log before it subscribes.
 * The networks are bad ones, unless `links` says otherwise. With `haste` the server pings that many times as often, and who
 * listens for it gives up as much sooner.
 */
export async function ride(t, { open, cuts, kills, silences = 0, history, links = badLinks, haste = 1 }) {
  t.diagnostic(`SEED=${seed}`)
  const course = await Course.lay(t, history, { TIDINGS_PING_INTERVAL_SECS: String(Math.round(25 / haste)) })
  const client = await open(t, {
    ws: course.wsProxy.ws,
    http: course.httpProxy.http,
    token: () => token('ada'),
    online: () => course.online(),
    keepAlive: 1_000,
    haste,
  })

  const busy = course.follow(client, 'busy', EVENTS, { roomIds: [course.busy], after: course.head })
  // A client that resumes by the recipe learns the quiet room's position from the server's pings alone.
  const after = client.resumes ? undefined : course.head
  const quiet = course.follow(client, 'quiet', MESSAGE_SENT, { roomId: course.quiet, after })
  await client.positions?.(all => all.length === 2, 'busy and quiet are live')

  course.cutFromNowOn({ cuts, kills, silences, links })
  const far = course.follow(client, 'far', EVENTS, { after: course.start })
  const during = await course.sendWhile(client, () => course.wsProxy.cuts < cuts)
  await course.speakInTheDark()

  const log = await readLog(course.api, course.start)
  const end = log.at(-1).cursor
  await Promise.all([busy.reaches(log.findLast(of(course.busy)).cursor), far.reaches(end), quiet.reaches(log.findLast(of(course.quiet)).cursor)])
  await client.positions?.(all => all.length === 3 && all.every(cursor => cursor >= end), 'all three are live again')

  far.mustBe(log)
  busy.mustBe(log.filter(event => event.cursor > course.head).filter(of(course.busy)))
  quiet.mustBe(log.filter(of(course.quiet)))
  for (const stream of [far, busy, quiet]) stream.mustQuote(course.ledger)
  course.everythingSentIsIn(log)
  assert.equal(quiet.events.length, 1)
  const wereBad = links === noLinks || (course.links.narrow && course.links.far)
  assert.ok(course.silenced >= silences && wereBad, `the networks were bad ones: ${course.told()} (SEED=${seed})`)
  t.diagnostic(
    `${course.wsProxy.cuts} cuts, ${course.killed} kills, ${course.silenced} silences; networks: ${course.told()}; ${log.length} events, ${during} of them during the cuts; ` +
      `${course.ledger.duplicates} sends answered as duplicates; far was cut ${course.cutsBeforeCaughtUp} times before it caught up`,
  )
  return course
}

const of = roomId => event => event.message?.room.id === roomId

class Course {
  ledger = new Ledger()
  killed = 0
  silenced = 0
  /** Connections of the client, by what their network is called. */
  links = {}
  cutsBeforeCaughtUp = 0

  static async lay(t, history, settings) {
    const course = new Course()
    course.server = await Server.start(t, settings)
    course.wsProxy = await Proxy.listen(t, () => course.server.port)
    course.httpProxy = await Proxy.listen(t, () => course.server.port)
    const http = () => course.server.http
    course.api = new Api(http, token('ada'))
    course.start = (await course.api.ask(HEAD)).head
    course.busy = await course.room('busy')
    course.quiet = await course.room('quiet')
    const bob = new Api(http, token('bob'))
    await course.#speak(bob, 16, 'history', () => course.ledger.sent.length >= history)
    course.head = (await course.api.ask(HEAD)).head
    return course
  }

  async room(name) {
    const input = { name, visibility: 'PRIVATE', memberIds: ['bob'] }
    return (await this.api.ask(CREATE_ROOM, { input })).createRoom.room.id
  }

  follow(client, name, query, variables) {
    const stream = new Stream(name)
    client.subscribe(query, variables, {
      next: payload => stream.take(payload),
      error: error => stream.fail(error),
      complete: () => stream.fail('completed'),
    })
    if (name === 'far') this.far = stream
    return stream
  }

  /** Settles when a connection has a chance. */
  async online() {
    await this.server.ready
    await this.wsProxy.admitting()
  }

  /**
   * Each connection has a network of its own and is cut at a random byte, some in the client's own words; evenly among the
   * cuts the server dies, and the line goes silent.
   */
  cutFromNowOn({ cuts, kills, silences, links }) {
    const draw = chance('cuts')
    const link = links(draw)
    const [toKill, toSilence] = [kills, silences].map(count => Math.ceil(cuts / (count + 1)))
    this.wsProxy.plan = () => {
      const nth = this.wsProxy.cuts + 1
      const own = this.#count(link())
      if (nth > cuts) return { down: Infinity, up: Infinity, link: own }
      if (!this.far?.caughtUp) this.cutsBeforeCaughtUp += 1
      // A client with several connections may see two cuts before it opens the next.
      const before = this.killed
      const kill = before < kills && nth >= toKill * (before + 1)
      const silence = !kill && this.silenced < silences && nth >= toSilence * (this.silenced + 1)
      this.silenced += silence ? 1 : 0
      return {
        // The answer to the upgrade is some 130 bytes: some cuts come before it, some within the first frames.
        down: draw.oneIn(4) ? 1 + draw.below(1_500) : 1 + draw.below(60_000),
        // The upgrade, connection_init and three subscribe frames are some 2,500 bytes.
        up: draw.oneIn(5) ? 1 + draw.below(2_500) : Infinity,
        how: kill ? () => this.#kill(before) : silence ? 'silence' : draw.of(['reset', 'end']),
        link: own,
      }
    }
    const http = chance('http')
    const httpLink = links(http)
    this.httpProxy.plan = () => ({
      down: 1 + http.below(20_000),
      up: 1 + http.below(20_000),
      how: http.of(['reset', 'end']),
      link: httpLink(),
    })
    // The first connection has no plan yet.
    this.wsProxy.refuse()
    this.wsProxy.cuts = 0
    this.wsProxy.admit()
  }

  #count(link) {
    this.links[link.name] = (this.links[link.name] ?? 0) + 1
    return link
  }

  /** What the client's networks were. */
  told() {
    return Object.entries(this.links).map(([name, count]) => `${count} ${name}`).join(', ')
  }

  /** Once for all connections that were to do it; those that come too late died with the server. */
  #kill(before) {
    if (this.killed > before) return
    this.killed += 1
    this.server.kill()
  }

  /** Bob's senders over HTTP and one through the client under test. Returns how many events that made, about. */
  async sendWhile(client, goOn) {
    const before = this.ledger.sent.length
    const bob = new Api(() => this.httpProxy.http, token('bob'), () => this.server.ready)
    const own = new Sender((query, variables) => client.ask(query, variables), this.busy, chance('own'), this.ledger)
    await Promise.all([this.#speak(bob, SENDERS, 'during', () => !goOn()), own.run(() => !goOn())])
    return this.ledger.sent.length - before
  }

  async #speak(api, count, purpose, stop) {
    const senders = Array.from({ length: count }, (_, nth) => {
      return new Sender((query, variables) => api.ask(query, variables), this.busy, chance(`${purpose} ${nth}`), this.ledger)
    })
    await Promise.all(senders.map(sender => sender.run(stop)))
  }

  /** While the client is away: the quiet room's only message, and then one more in the busy room. */
  async speakInTheDark() {
    this.wsProxy.plan = () => ({ down: Infinity, up: Infinity })
    this.wsProxy.refuse()
    await this.server.ready
    const ask = (query, variables) => this.api.ask(query, variables)
    await new Sender(ask, this.quiet, chance('quiet'), this.ledger).send()
    await new Sender(ask, this.busy, chance('last'), this.ledger).send()
    this.wsProxy.admit()
  }

  everythingSentIsIn(log) {
    const times = new Map()
    for (const { __typename, message } of log) {
      if (__typename === 'MessageSent') times.set(message.id, (times.get(message.id) ?? 0) + 1)
    }
    for (const id of this.ledger.sent) assert.equal(times.get(id), 1, `message ${id} is in the log once (SEED=${seed})`)
    assert.equal(times.size, this.ledger.sent.length, 'nothing is in the log that was not sent')
  }
}
