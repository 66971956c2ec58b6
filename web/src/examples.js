// The tabs that a first visit begins with. They are data, so that a test can hold them against the schema.

export const LOBBY = '00000000-0000-7000-8000-000000000001'

const EVENT = `    __typename
    cursor
    ... on MessageSent {
      room { name }
      message { id body author { name } }
    }
    ... on MessageEdited {
      message { id body version }
    }
    ... on MessageDeleted {
      actor { name }
      message { id }
    }
    ... on MemberJoined {
      room { name }
      member { role user { name } }
    }
    ... on MemberLeft {
      room { name }
      user { name }
    }
    ... on AccessRevoked { roomId }
    ... on ResyncRequired { reason }`

/** `user` says hello; `head` is where the resume example begins, null for the log's end as it is run. */
export function examples(user, head) {
  const after = JSON.stringify({ after: head }, null, 2)
  // The first tab has no variables: GraphiQL shows none there before another tab has been open.
  return [
    {
      query: `# Press the button, or Ctrl+Enter,
# and watch the lobby on the left.
# With an \`id\` of your own (a UUID)
# it is safe to send twice.
mutation Send {
  sendMessage(input: {
    roomId: "${LOBBY}"
    body: ${JSON.stringify(`Hello from ${user}`)}
  }) {
    duplicate
    message {
      id
      body
      author { name }
      createdAt
      cursor
    }
  }
}
`,
    },
    {
      query: `# Each message as it is sent: send some
# from another browser tab.
subscription Subscribe {
  messageSent(roomId: "${LOBBY}") {
    id
    body
    author { name }
    createdAt
  }
}
`,
    },
    {
      query: `# All that happens in your rooms,
# in the order of the log.
subscription Everything {
  events {
${EVENT}
  }
}
`,
    },
    {
      query: `# What you missed, then CaughtUp,
# then live. \`after\`, in Variables, is
# the cursor of your last event; this
# was the end as the page was opened.
subscription Resume($after: Cursor) {
  events(after: $after) {
${EVENT}
  }
}
`,
      variables: after,
    },
    {
      query: `# The same for clients that poll,
# or wake from a push.
query Changes($after: Cursor) {
  changes(after: $after, first: 50) {
    reset
    hasMore
    cursor
    events {
${EVENT.replace(/^/gm, '  ')}
    }
  }
}
`,
      variables: after,
    },
    {
      query: `# Who you are, and where.
# The token is in Headers, below.
query WhoAmI {
  viewer {
    id
    name
    rooms(first: 10) {
      nodes {
        id
        name
        visibility
        memberCount
        lastMessage { body author { name } }
      }
    }
  }
  rooms(first: 10) {
    nodes { id name memberCount }
  }
}
`,
    },
  ]
}
