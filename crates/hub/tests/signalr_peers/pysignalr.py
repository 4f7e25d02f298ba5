# Usage: python -u -c …
# Reads an order a line, [what, ...how], and writes what happens, [kind, what], as `microsoft.js`.
import asyncio
import json
import ssl
import sys

from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

protocols = {"json": JSONProtocol, "messagepack": MessagepackProtocol}


def say(kind, what):
    print(json.dumps([kind, what]))


class Orders:
    async def start(self, url, token, _transport, protocol):
        opened = asyncio.get_running_loop().create_future()
        # Its token factory comes too late for the negotiation.
        headers = {"Authorization": f"Bearer {token}"}
        self.client = SignalRClient(
            url,
            protocol=protocols[protocol](),
            headers=headers,
            ssl=ssl.create_default_context(),
        )

        async def on_open():
            opened.set_result(None)

        self.client.on_open(on_open)
        self.client.on_error(self.on_error)
        self.client.on("price", self.price)
        self.client.on("print/receipt", self.command)
        self.running = asyncio.create_task(self.run(opened))
        await opened
        return "started"

    async def run(self, opened):
        try:
            await self.client.run()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if opened.done():
                say("closed", text)
            else:
                opened.set_exception(Exception(text))

    async def on_error(self, message):
        self.answer.set_exception(Exception(message.error))

    async def price(self, arguments):
        say("asked", arguments)
        if arguments[0] == "wrong":
            raise Exception("no such article")
        return {"cents": 250}

    async def command(self, arguments):
        say("command", ["print/receipt", *arguments])
        if arguments == ["refuse"]:
            raise Exception("not now")
        return True

    async def invoke(self, method, *arguments):
        self.answer = asyncio.get_running_loop().create_future()

        async def answered(message):
            if not message.error:
                self.answer.set_result(message.result)

        await self.client.send(method, list(arguments), answered)
        return await self.answer


async def main():
    orders, loop = Orders(), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        what, *how = json.loads(line)
        try:
            say("done", await getattr(orders, what)(*how))
        except Exception as error:
            say("done", {"error": str(error)})


asyncio.run(main())
