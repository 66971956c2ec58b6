// Listens on a free port and says which, as the bench expects it: one line of JSON on standard error.

export const listen = (server) =>
  server.listen(0, "127.0.0.1", () => {
    const { address, port } = server.address();
    console.error(JSON.stringify({ listening: `${address}:${port}` }));
  });
