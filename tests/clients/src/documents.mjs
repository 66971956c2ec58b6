// What the tests ask for.

const MESSAGE = 'message { id version body author { id } room { id } }'

const EVENT = `
  __typename
  cursor
  ... on MessageSent { ${MESSAGE} }
  ... on MessageEdited { ${MESSAGE} }
  ... on MessageDeleted { ${MESSAGE} }
  ... on ResyncRequired { reason }
  ... on AccessRevoked { roomId }
`

export const EVENTS = `subscription Events($roomIds: [ID!], $after: Cursor) { events(roomIds: $roomIds, after: $after) { ${EVENT} } }`
export const MESSAGE_SENT = `subscription Sent($roomId: ID!, $after: Cursor) { messageSent(roomId: $roomId, after: $after) { id version body cursor } }`
export const CHANGES = `query Changes($after: Cursor) { changes(after: $after, first: 500) { events { ${EVENT} } cursor hasMore reset } }`
export const HEAD = 'query Head { head }'
export const CREATE_ROOM = 'mutation Create($input: CreateRoomInput!) { createRoom(input: $input) { room { id name visibility } } }'
export const SEND = 'mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { duplicate message { id version body } } }'
export const EDIT = 'mutation Edit($input: EditMessageInput!) { editMessage(input: $input) { message { id version body } } }'
export const DELETE = 'mutation Delete($input: DeleteMessageInput!) { deleteMessage(input: $input) { message { id version body } } }'
export const MESSAGES = `query Messages($roomId: ID!, $after: String) {
  room(id: $roomId) { id messages(first: 100, after: $after) { edges { cursor node { id version body } } pageInfo { hasNextPage endCursor } } }
}`
