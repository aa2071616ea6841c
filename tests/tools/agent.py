"""An agent: prints each message of a subscription as a line, until the server ends it.

usage: agent.py WS-URL TOKEN-FILE

Written as a user would write one, with the `websockets` package and nothing of Kinora's own.
"""

import asyncio
import sys

import websockets


async def main(url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(url, subprotocols=["json"], extra_headers=headers) as socket:
        assert socket.subprotocol == "json", socket.subprotocol
        async for message in socket:
            print(message, flush=True)


try:
    asyncio.run(main(sys.argv[1], open(sys.argv[2], encoding="utf-8").read().strip()))
except websockets.ConnectionClosed as closed:
    print(f"closed: {closed}", file=sys.stderr)
