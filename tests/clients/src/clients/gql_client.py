"""gql as it comes: WebSocket for subscriptions, httpx for the rest. Reads requests and writes results, a JSON line each.

gql opens no connection anew for a subscription, so this does what its users do: connect again and subscribe again, with
the last cursor as `after`.
"""

import asyncio
import json
import sys

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

WS, HTTP, TOKEN = sys.argv[1:]
RETRY_SECS = 0.02


def say(**line):
    print(json.dumps(line), flush=True)


class Subscription:
    """A subscription of the application, that outlives its connections."""

    def __init__(self, number, query, variables):
        self.number = number
        self.query = query
        self.variables = variables
        self.ended = False

    async def follow(self, session):
        """Subscribes from where the last connection left off; returns when the server ends it."""
        request = gql(self.query)
        request.variable_values = self.variables
        try:
            async for result in session.subscribe(request, get_execution_result=True):
                self.variables["after"] = result.extensions["cursor"]
                say(subscription=self.number, next={"data": result.data, "extensions": result.extensions})
            self.ended = True
            say(subscription=self.number, error="completed")
        except TransportQueryError as error:
            self.ended = True
            say(subscription=self.number, error=error.errors)


async def listen(transport):
    """Tells what the server's pings say. (Not for `after`: results may still wait in gql's queue behind a ping.)"""
    while True:
        await transport.ping_received.wait()
        transport.ping_received.clear()
        say(ping=(transport.payloads.get("ping") or {}).get("resume") or {})


async def hold(subscriptions, wanted):
    """Keeps the subscriptions on one socket, and opens it again whenever it is lost."""
    while True:
        await wanted.wait()
        transport = WebsocketsTransport(url=WS, init_payload={"Authorization": f"Bearer {TOKEN}"})
        try:
            async with Client(transport=transport) as session:
                await serve(session, subscriptions, wanted)
        except Exception:  # noqa: BLE001 - whatever was lost, the answer is the same
            await asyncio.sleep(RETRY_SECS)


async def serve(session, subscriptions, wanted):
    started = set()
    tasks = {asyncio.create_task(listen(session.transport))}
    try:
        while True:
            wanted.clear()
            for each in subscriptions:
                if each not in started and not each.ended:
                    started.add(each)
                    tasks.add(asyncio.create_task(each.follow(session)))
            more = asyncio.create_task(wanted.wait())
            tasks.add(more)
            done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        wanted.set()
        for task in tasks:
            task.cancel()


async def answer(number, query, variables):
    """A query or a mutation, repeated until it is answered."""
    while True:
        try:
            async with Client(transport=HTTPXAsyncTransport(url=HTTP, headers={"Authorization": f"Bearer {TOKEN}"})) as session:
                request = gql(query)
                request.variable_values = variables
                return say(answer=number, data=await session.execute(request))
        except TransportQueryError as error:
            return say(answer=number, error=error.errors)
        except Exception:  # noqa: BLE001
            await asyncio.sleep(RETRY_SECS)


async def main():
    loop = asyncio.get_running_loop()
    # gql's own tasks end with the connection; what they raise is known already.
    loop.set_exception_handler(lambda *_: None)
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    subscriptions, wanted, tasks = [], asyncio.Event(), set()
    tasks.add(asyncio.create_task(hold(subscriptions, wanted)))
    while line := await reader.readline():
        request = json.loads(line)
        if "subscription" in request:
            subscriptions.append(Subscription(request["subscription"], request["query"], request["variables"]))
            wanted.set()
        else:
            tasks.add(asyncio.create_task(answer(request["answer"], request["query"], request.get("variables", {}))))


asyncio.run(main())
