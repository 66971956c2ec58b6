// What the small page offers to run.

const LOBBY = '00000000-0000-7000-8000-000000000001'

/** By name: what makes the operation for a user. */
export const EXAMPLES = {
  'Send to the lobby': user => `mutation SendToLobby {
  sendMessage(input: { roomId: "${LOBBY}", body: ${JSON.stringify(`Hello from ${user}`)} }) {
    duplicate
    message { id body author { name } createdAt cursor }
  }
}`,
  'Subscribe to the lobby': () => `subscription SubscribeToLobby {
  messageSent(roomId: "${LOBBY}") {
    id body author { name } createdAt
  }
}`,
  'Follow everything': () => `subscription FollowEverything($after: Cursor) {
  events(after: $after) {
    __typename
    cursor
    ... on MessageSent { room { name } message { id body author { name } } }
    ... on MessageEdited { message { id body version } }
    ... on MessageDeleted { message { id } }
    ... on AccessRevoked { roomId }
    ... on ResyncRequired { reason }
  }
}`,
  'Who am I': () => `query WhoAmI {
  viewer { id name rooms(first: 10) { nodes { id name } } }
  head
}`,
}
