# Usage: python -c … URL TRANSPORT PROTOCOL
import json
import os
import queue
import sys

from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.subject import Subject
from signalrcore.types import HttpTransportType, HubProtocolEncoding

url, transport, protocol = sys.argv[1:]
encodings = {"json": HubProtocolEncoding.text, "messagepack": HubProtocolEncoding.binary}
options = {
    "transport": HttpTransportType(transport),
    "access_token_factory": lambda: "user-ada",
}
hub = (
    HubConnectionBuilder()
    .with_url(url, options=options)
    .with_hub_protocol(encodings[protocol])
    .build()
)
opened, heard, failed = queue.Queue(), queue.Queue(), queue.Queue()
hub.on_open(lambda: opened.put(True))
hub.on_error(lambda message: failed.put(message.error))
hub.on("Received", heard.put)


def ask(method, arguments):
    answer = queue.Queue()
    hub.invoke(method, arguments, answer.put)
    return answer.get(timeout=30).result


hub.start()
opened.get(timeout=30)
found = {}
things = ["åäö \U0001f600\n", {"list": [1, -2.5, None, True]}, None]
found["echoed"] = [ask("Echo", [thing]) for thing in things] == things
_, found["user"], found["transport"] = ask("WhoAmI", [])
# Of the messages that a poll brings it reads only the first.
if transport != "LongPolling":
    items, complete = [], queue.Queue()
    stream = hub.stream("CounterWhenTold", [100])
    stream.subscribe({"next": items.append, "complete": complete.put, "error": failed.put})
    # What comes before it subscribes is lost to it.
    ask("Go", [])
    complete.get(timeout=30)
    found["counted"] = items == list(range(100))
# In MessagePack it leaves out the place of the name that such a call has not, which no server takes.
if protocol == "json":
    numbers = Subject()
    hub.send("SumToMe", numbers)
    for number in range(1, 101):
        numbers.next(number)
    numbers.complete()
    found["summed"] = heard.get(timeout=30)
hub.invoke("Refuse", [])
found["refused"] = failed.get(timeout=30)
print(json.dumps(found), flush=True)
# Its own end waits for a thread that sleeps for fifteen seconds.
os._exit(0)
