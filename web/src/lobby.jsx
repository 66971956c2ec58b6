// The lobby beside the editors: a subscription that goes on whichever tab is open, so that what one sends is seen to arrive.

import { useGraphiQL } from '@graphiql/react'
import { useEffect, useState } from 'react'

import { LOBBY } from './examples.js'
import { follow } from './follow.js'

/** So many messages stay on screen. */
const SHOWN_MAX = 200

const OPERATION = {
  query: `subscription Lobby { messageSent(roomId: "${LOBBY}") { id body author { id name } createdAt } }`,
}

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round">
      <path d="M4 5h16v11H9l-5 4zM8 9h8M8 12h5" strokeLinejoin="round" />
    </svg>
  )
}

/** What a socket with these headers has brought since it was opened. */
function useLobby(config, headers) {
  const [status, setStatus] = useState('connecting')
  const [messages, setMessages] = useState([])
  useEffect(() => {
    if (!headers) return setStatus('not connected')
    return follow(config.graphqlPath, headers, OPERATION, {
      status: setStatus,
      next({ data, errors }) {
        const message = data?.messageSent
        if (message) setMessages(before => [message, ...before].slice(0, SHOWN_MAX))
        else setStatus(errors?.[0]?.message ?? 'an empty result')
      },
      error(error) {
        setStatus(Array.isArray(error) ? error[0].message : error.message)
      },
      complete: () => setStatus('ended by the server'),
    })
  }, [config, headers])
  return { status, messages }
}

/** The headers that the editor holds, or null when they are no JSON. */
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function Message({ id, body, author, createdAt }) {
  return (
    <li data-message={id}>
      <b>{author.name}</b> <time dateTime={createdAt}>{new Date(createdAt).toLocaleTimeString()}</time>
      <p>{body ?? <i>deleted</i>}</p>
    </li>
  )
}

/** The plugin for GraphiQL's side bar. */
export function lobby(config, issued) {
  function Lobby() {
    const headerEditor = useGraphiQL(state => state.headerEditor)
    const [headers, setHeaders] = useState(config.token ? issued : null)
    const { status, messages } = useLobby(config, headers)
    return (
      <section className="tidings-lobby" aria-label="Lobby">
        <h2>Lobby</h2>
        <p className="tidings-status" role="status" data-live={status === 'live'}>
          {status}{' '}
          <button type="button" onClick={() => setHeaders(parsed(headerEditor?.getValue()))}>
            connect with these Headers
          </button>
        </p>
        <ul aria-live="polite">
          {messages.map(message => (
            <Message key={message.id} {...message} />
          ))}
        </ul>
        {messages.length === 0 && <p className="tidings-empty">Messages appear here as they are sent.</p>}
      </section>
    )
  }
  return { title: 'Lobby', icon: Icon, content: Lobby }
}
