# Usage: python -c … URL PROTOCOL
import asyncio
import json
import sys

from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

url, protocol = sys.argv[1:]
protocols = {"json": JSONProtocol, "messagepack": MessagepackProtocol}
# Its token factory comes too late for the negotiation.
headers = {"Authorization": "Bearer user-ada"}
client = SignalRClient(url, protocol=protocols[protocol](), headers=headers)
found = {}
things = ["åäö \U0001f600\n", {"list": [1, -2.5, None, True]}, None]


async def ask(method, arguments):
    answer = asyncio.get_running_loop().create_future()

    async def answered(message):
        answer.set_result(message.result)

    await client.send(method, arguments, answered)
    return await answer


async def talk():
    loop = asyncio.get_running_loop()
    summed, complete, failed = loop.create_future(), loop.create_future(), loop.create_future()

    async def received(arguments):
        summed.set_result(arguments)

    async def question(arguments):
        return f"yes, {arguments[0]}"

    async def error(message):
        failed.set_result(message.error)

    items = []

    async def item(one):
        items.append(one)

    async def done(_):
        complete.set_result(None)

    client.on("Received", received)
    client.on("GetMessage", question)
    client.on_error(error)
    found["echoed"] = [await ask("Echo", [thing]) for thing in things] == things
    found["user"] = (await ask("WhoAmI", []))[1]
    found["answered"] = await ask("AskMe", ["ready?"])
    await client.stream("Counter", [100], item, done, error)
    await complete
    found["counted"] = items == list(range(100))
    async with client.client_stream("SumToMe") as numbers:
        for number in range(1, 101):
            await numbers.send(number)
    found["summed"] = await summed
    await client.send("Refuse", [], done)
    found["refused"] = await failed


async def main():
    opened = asyncio.Event()

    async def on_open():
        opened.set()

    client.on_open(on_open)
    running = asyncio.create_task(client.run())
    await opened.wait()
    await asyncio.wait_for(talk(), 30)
    running.cancel()
    print(json.dumps(found))


asyncio.run(main())
