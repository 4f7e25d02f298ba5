"""An HTTPS receiver of webhooks that verifies each with the library `standardwebhooks`.

Prints its port; then, for each secret on standard input, that it verifies with it from now on; and
for each request what the library makes of it. All in JSON, a line each.
"""

import http.server
import json
import ssl
import sys
import threading

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

secret = None
printing = threading.Lock()


def say(what):
    with printing:
        print(json.dumps(what), flush=True)


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            Webhook(secret).verify(body, dict(self.headers))
            say({"verified": json.loads(body)})
        except WebhookVerificationError as error:
            say({"refused": str(error)})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = tls.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
say(server.server_address[1])
for line in sys.stdin:
    secret = line.strip()
    say("ready")
