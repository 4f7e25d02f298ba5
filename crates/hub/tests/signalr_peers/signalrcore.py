# Usage: python -u -c …
# Reads an order a line, [what, ...how], and writes what happens, [kind, what], as `microsoft.js`.
import json
import os
import queue
import sys
import threading

from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.types import HttpTransportType, HubProtocolEncoding

encodings = {"json": HubProtocolEncoding.text, "messagepack": HubProtocolEncoding.binary}
writing = threading.Lock()


def say(kind, what):
    with writing:
        print(json.dumps([kind, what]))


class Orders:
    def start(self, url, token, transport, protocol):
        options = {
            "transport": HttpTransportType(transport),
            "access_token_factory": lambda: token,
        }
        self.hub = (
            HubConnectionBuilder()
            .with_url(url, options=options)
            .with_hub_protocol(encodings[protocol])
            .build()
        )
        opened, self.failed = queue.Queue(), queue.Queue()
        self.hub.on_open(lambda: opened.put(True))
        self.hub.on_close(lambda: say("closed", None))
        self.hub.on_error(lambda message: self.failed.put(message.error))
        self.hub.on("Desired", lambda arguments: say("desired", arguments))
        self.hub.start()
        opened.get(timeout=30)
        return "started"

    def invoke(self, method, *arguments):
        answer = queue.Queue()
        self.hub.invoke(method, list(arguments), lambda message: answer.put(message.result))
        return answer.get(timeout=30)

    def refused(self, method, *arguments):
        self.hub.invoke(method, list(arguments))
        return self.failed.get(timeout=30)


orders = Orders()
for line in sys.stdin:
    what, *how = json.loads(line)
    try:
        say("done", getattr(orders, what)(*how))
    except Exception as error:
        say("done", {"error": f"{type(error).__name__}: {error}"})
# Its own end waits for a thread that sleeps for fifteen seconds.
os._exit(0)
