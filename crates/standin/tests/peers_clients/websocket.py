"""Usage: websocket.py echo|flood URL PORT AUTHORITY"""

import socket
import ssl
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

what, url, port, authority = sys.argv[1:]
context = ssl.create_default_context(cafile=authority) if url.startswith("wss:") else None
raw = socket.create_connection(("127.0.0.1", int(port)))
try:
    with connect(url, sock=raw, ssl=context, proxy=None, compression=None) as client:
        if what == "flood":
            client.send(bytes(64 * 1024 + 1))
            client.recv(timeout=10)
        for message in ["hello", bytes(64 * 1024)]:
            client.send(message)
            assert client.recv(timeout=10) == message
        assert client.ping().wait(timeout=10)
        client.close()
        print("heard, ponged, closed", client.protocol.close_code)
except ConnectionClosed as closed:
    print("closed", closed.rcvd.code if closed.rcvd else 1006)
