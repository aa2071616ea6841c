"""An agent that resumes: prints each message of one session as a line, however often its connection is cut.

usage: resuming_agent.py WS-URL SESSION TOKEN-FILE

Written as a user would write one: it remembers the last number and asks for what is after it, at once. It checks
nothing and drops nothing: what the server sends twice is printed twice.
"""

import asyncio
import json
import sys

import websockets

CUT = (OSError, asyncio.TimeoutError, websockets.WebSocketException)


async def main(url: str, session: str, token: str) -> None:
    headers, last = {"Authorization": f"Bearer {token}"}, 0
    while True:
        try:
            address = f"{url}?session={session}&after={last}"
            async with websockets.connect(address, subprotocols=["json"], extra_headers=headers) as socket:
                async for message in socket:
                    print(message, flush=True)
                    last = json.loads(message)["payload"]["seq"]
        except CUT as cut:
            print(f"cut after {last}: {cut}", file=sys.stderr)
        await asyncio.sleep(0.01)


asyncio.run(main(sys.argv[1], sys.argv[2], open(sys.argv[3], encoding="utf-8").read().strip()))
