// npm's ws as its README broadcasts: what one says is sent to all others, as text.

import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { listen } from "./listen.mjs";

const server = createServer();
const sockets = new WebSocketServer({ server });

sockets.on("connection", (publisher) => {
  publisher.on("error", console.error);
  publisher.on("message", (data, isBinary) => {
    for (const client of sockets.clients) {
      if (client !== publisher && client.readyState === WebSocket.OPEN) {
        client.send(data, { binary: isBinary });
      }
    }
  });
});

listen(server);
