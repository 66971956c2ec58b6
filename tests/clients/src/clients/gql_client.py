"""gql as it comes: the recipe of docs/clients.md for subscriptions, httpx for the rest. Reads requests and writes results, a
JSON line each."""

import asyncio
import functools
import json
import sys

from gql import Client, gql
from gql.transport import websockets
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport

TOLD = json.loads(sys.argv[1])
TOKENS = asyncio.Queue()
RETRY_SECS = 0.02


def say(**line):
    print(json.dumps(line), flush=True)


def printed():
    """What the recipe defines."""
    if TOLD["offers"]:
        offering = functools.partial(websockets.WebsocketsTransport, subprotocols=TOLD["offers"])
        websockets.WebsocketsTransport = offering
    recipe = {}
    exec(compile(TOLD["recipe"], "docs/clients.md", "exec"), recipe)
    recipe["RETRY_SECS"] = RETRY_SECS
    return recipe["follow"]


async def token():
    say(wants="token")
    given = await TOKENS.get()
    if given is None:
        raise OSError("no way to get a token")
    return given


async def subscribe(follow, number, query, variables):
    try:
        async for result in follow(query, variables, token):
            say(subscription=number, next={"data": result.data, "extensions": result.extensions})
        say(subscription=number, error="completed")
    except TransportQueryError as error:
        say(subscription=number, error=error.errors)


async def answer(number, query, variables):
    """A query or a mutation, repeated until it is answered."""
    while True:
        try:
            headers = {"Authorization": f"Bearer {await token()}"}
            async with Client(transport=HTTPXAsyncTransport(url=TOLD["http"], headers=headers)) as session:
                request = gql(query)
                request.variable_values = variables
                return say(answer=number, data=await session.execute(request))
        except TransportQueryError as error:
            return say(answer=number, error=error.errors)
        except Exception:  # noqa: BLE001 - whatever was lost, the answer is the same
            await asyncio.sleep(RETRY_SECS)


async def main():
    loop = asyncio.get_running_loop()
    # gql's own tasks end with the connection; what they raise is known already.
    loop.set_exception_handler(lambda *_: None)
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    follow, tasks = printed(), set()
    while line := await reader.readline():
        request = json.loads(line)
        if "token" in request:
            TOKENS.put_nowait(request["token"])
            continue
        query, variables = request["query"], request.get("variables") or {}
        if "subscription" in request:
            tasks.add(asyncio.create_task(subscribe(follow, request["subscription"], query, variables)))
        else:
            tasks.add(asyncio.create_task(answer(request["answer"], query, variables)))


asyncio.run(main())
