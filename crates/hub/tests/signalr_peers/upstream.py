"""A vendor's back end that is told by Azure SignalR Service's conventions.

Prints its port; reads the access key as a line; then prints a JSON line for each request.
"""

import hashlib
import hmac
import http.server
import json
import sys
import threading

key = threading.Event()
go_on = threading.Event()
# Whether it is too busy when bob comes, the last first.
bob = [False, True]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key.wait()
        connection = self.headers["X-ASRS-Connection-Id"]
        tag = hmac.new(key.text.encode(), connection.encode(), hashlib.sha256).hexdigest()
        told = {name[7:].lower(): value for name, value in self.headers.items() if name.lower().startswith("x-asrs-")}
        told["signed"] = f"sha256={tag}" in told.pop("signature").split(",")
        del told["connection-id"]
        if "InvocationId" in body:
            body["InvocationId"] = body["InvocationId"] is not None
        print(json.dumps([self.path, told, body]), flush=True)
        status, answer = 200, b""
        if body.get("Target") == "price":
            answer = json.dumps({"cents": body["Arguments"][0] * 100}).encode()
        if body.get("Target") == "completed":
            answer = b'{"type":3,"invocationId":"1","error":"sold out"}\x1e'
        if body.get("Target") == "forbidden":
            status = 403
        if body.get("Target") == "slow":
            go_on.wait()
        if body.get("Target") == "quick":
            go_on.set()
        if self.path.endswith("/connected") and told.get("user-id") == "bob" and bob.pop():
            status = 503
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
key.text = sys.stdin.readline().strip()
key.set()
sys.stdin.read()
