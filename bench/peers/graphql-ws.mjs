// graphql-ws with GraphQL.js as their documentation shows them: each subscriber's subscription is executed for each event,
// what is published comes from Node's own EventEmitter. No token is checked and nothing is written.

import { EventEmitter, on } from "node:events";
import { createServer } from "node:http";
import { buildSchema } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";
import { listen } from "./listen.mjs";

const schema = buildSchema(`
  type Query { head: String! }
  type Mutation { sendMessage(input: SendMessageInput!): SendMessagePayload }
  type Subscription { messageSent(roomId: ID!): Message! }
  input SendMessageInput { id: ID!, roomId: ID!, body: String! }
  type SendMessagePayload { message: Message!, duplicate: Boolean! }
  type Message { id: ID!, body: String!, version: Int!, createdAt: String!, cursor: String!, author: User!, room: Room! }
  type User { id: ID!, name: String! }
  type Room { id: ID!, name: String! }
`);

const messages = new EventEmitter().setMaxListeners(0);

schema.getMutationType().getFields().sendMessage.resolve = (_, { input: { id, roomId, body } }) => {
  const message = {
    id,
    body,
    version: 1,
    createdAt: new Date().toISOString(),
    cursor: roomId.slice(0, 20),
    author: { id: "publisher", name: "publisher" },
    room: { id: roomId, name: "Lobby" },
  };
  messages.emit(roomId, message);
  return { message, duplicate: false };
};

const messageSent = schema.getSubscriptionType().getFields().messageSent;
messageSent.subscribe = (_, { roomId }) => on(messages, roomId);
messageSent.resolve = ([message]) => message;

const server = createServer();
useServer({ schema }, new WebSocketServer({ server, path: "/graphql" }));
listen(server);
