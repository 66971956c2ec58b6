// A small client for graphql-transport-ws: one subscription a socket, resumed when the socket is lost.

/** Closed with one of these, the same again would fail the same way. */
const FATAL = new Set([1002, 1003, 1007, 1008, 1009, 1011, 4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500])

/** The longest wait before another try. */
const RETRY_MS_MAX = 10_000

/** Follows an operation until the returned function is called; `sink` has status, next, error and complete. */
export function follow(path, token, operation, sink) {
  const id = '1'
  let resume = {}
  let tries = 0
  let timer
  let socket

  const answers = {
    connection_ack() {
      tries = 0
      sink.status('live')
      return { id, type: 'subscribe', payload: operation }
    },
    ping({ payload }) {
      if (payload?.resume) resume = payload.resume
      return { type: 'pong' }
    },
    next({ payload }) {
      if (payload.extensions?.cursor) resume[id] = payload.extensions.cursor
      sink.next(payload)
    },
    error({ payload }) {
      end(() => sink.error(payload))
    },
    complete() {
      end(sink.complete)
    },
  }

  function end(tell) {
    clearTimeout(timer)
    socket.onclose = socket.onmessage = null
    socket.close(1000)
    tell()
  }

  function open() {
    const url = new URL(path, location.href)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    socket = new WebSocket(url, 'graphql-transport-ws')
    const send = message => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message))
    socket.onopen = () => {
      const bearer = token ? { Authorization: `Bearer ${token}` } : {}
      send({ type: 'connection_init', payload: { ...bearer, resume } })
    }
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data)
      const answer = answers[message.type]?.(message)
      if (answer) send(answer)
    }
    socket.onclose = ({ code, reason }) => {
      if (FATAL.has(code)) return sink.error(`the server closed the socket: ${code} ${reason}`)
      // Apart by chance, so that clients do not return all at once.
      const wait = Math.min(RETRY_MS_MAX, 500 * 2 ** tries++) * (0.5 + Math.random() / 2)
      sink.status(`connecting again (closed: ${code} ${reason})`)
      timer = setTimeout(open, wait)
    }
  }

  sink.status('connecting')
  open()
  return () => end(() => sink.status('stopped'))
}
