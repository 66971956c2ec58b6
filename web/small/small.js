// The small playground, for builds without npm: an operation, its variables, a token, and a log of what came back.

import { EXAMPLES } from '/playground/examples.js'
import { follow } from '/playground/socket.js'

/** So many entries stay in the log. */
const LOG_MAX = 200

const at = id => document.getElementById(id)
let stop = null

function log(what, value) {
  const entry = document.createElement('li')
  const head = document.createElement('small')
  const text = document.createElement('pre')
  head.textContent = `${new Date().toLocaleTimeString()} ${what}`
  text.textContent = typeof value === 'string' ? value : JSON.stringify(value, null, 2)
  entry.append(head, text)
  at('log').prepend(entry)
  while (at('log').childElementCount > LOG_MAX) at('log').lastElementChild.remove()
}

function status(text, running) {
  at('status').textContent = text
  at('stop').disabled = !running
}

function halt() {
  stop?.()
  stop = null
}

async function post(path, operation, token) {
  const response = await fetch(path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json;q=0.9',
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(operation),
  })
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    return `HTTP ${response.status}: ${text}`
  }
}

function subscribe(path, operation, token) {
  const over = (what, value) => {
    stop = null
    status(what, false)
    log(what, value)
  }
  stop = follow(path, token, operation, {
    status: text => status(text, text !== 'stopped'),
    next: payload => log('next', payload),
    error: reason => over('error', reason),
    complete: () => over('complete', 'the server ended the subscription'),
  })
}

/** Enough for one operation in the box; the server judges the rest. */
function isSubscription(query) {
  return /^\s*subscription\b/m.test(query.replace(/#.*$/gm, ''))
}

async function run(path) {
  halt()
  const operation = { query: at('query').value }
  const token = at('token').value.trim().replace(/^bearer /i, '')
  try {
    const variables = at('variables').value.trim()
    if (variables) operation.variables = JSON.parse(variables)
    if (isSubscription(operation.query)) return subscribe(path, operation, token)
    status('asking', false)
    log('answer', await post(path, operation, token))
    status('', false)
  } catch (error) {
    status('', false)
    log('not sent', error.message)
  }
}

function showWho({ user, token, notice }) {
  if (!token) {
    at('who').textContent = notice ?? 'paste a token: tidings token --user you'
    return
  }
  const other = user === 'bob' ? 'ada' : 'bob'
  const link = document.createElement('a')
  Object.assign(link, { textContent: `be ${other} too`, target: '_blank', rel: 'noreferrer' })
  link.href = `${location.pathname}?user=${other}`
  at('who').replaceChildren(`you are ${user} · `, link)
}

async function start() {
  const asked = new URLSearchParams(location.search).get('user')
  const query = asked ? `?user=${encodeURIComponent(asked)}` : ''
  const response = await fetch(`/playground/config.json${query}`)
  if (!response.ok) throw new Error(await response.text())
  const config = await response.json()
  showWho(config)
  at('token').value = config.token ?? ''
  at('example').replaceChildren(...Object.keys(EXAMPLES).map(name => new Option(name)))
  const show = () => {
    at('query').value = EXAMPLES[at('example').value](config.user)
  }
  show()
  at('example').addEventListener('change', show)
  at('ask').addEventListener('submit', event => {
    event.preventDefault()
    run(config.graphqlPath)
  })
  at('ask').addEventListener('keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) at('ask').requestSubmit()
  })
  at('stop').addEventListener('click', halt)
  at('clear').addEventListener('click', () => at('log').replaceChildren())
}

start().catch(error => log('the playground could not start', error.message))
