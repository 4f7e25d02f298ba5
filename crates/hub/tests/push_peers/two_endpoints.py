"""Google's two endpoints for push, over TLS: tokens for assertions, and messages to registrations.

Google's own library (`google-auth`) verifies each assertion, as Google would. Writes the key of a
service account to the file of its third argument and prints its port. A line on standard input says
how the next request to an endpoint is answered, `{"at": "token" or "send", "status": …, "headers":
{…}, "body": …, "after": seconds}`; without one it is taken. Each request is told in a line, once it
has been answered.
"""

import http.server
import json
import ssl
import sys
import threading
import time
import urllib.parse
from collections import deque

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
EMAIL = "hub@pos-1.iam.gserviceaccount.com"

key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
public = key.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
next_answers = {"token": deque(), "send": deque()}
tokens = []
printing = threading.Lock()


def say(what):
    with printing:
        print(json.dumps(what), flush=True)


def claims(form):
    """What the assertion of a form says, or why it is none."""
    if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
        raise ValueError("no grant by an assertion")
    said = jwt.decode(form["assertion"][0], certs={"key-1": public}, audience=token_uri)
    if said["iss"] != EMAIL or said["scope"] != SCOPE or said["exp"] - said["iat"] > 3600:
        raise ValueError("not what this account may ask for")
    return said


class Google(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        at = "token" if self.path == "/token" else "send"
        told = {"at": at}
        if at == "token":
            answer = self.token(urllib.parse.parse_qs(body), told)
        else:
            answer = self.send(json.loads(body), told)
        if next_answers[at]:
            planned = next_answers[at].popleft()
            time.sleep(planned.get("after", 0))
            answer = (planned["status"], planned["body"], planned.get("headers", {}))
        told["status"] = answer[0]
        # Before it is answered: whoever has the answer may look here at once.
        say(told)
        self.answer(*answer)

    def token(self, form, told):
        try:
            claims(form)
        except ValueError as error:
            told["why"] = str(error)
            return 400, {"error": "invalid_grant"}, {}
        tokens.append(f"ya29.{len(tokens)}")
        granted = {"access_token": tokens[-1], "expires_in": 3599, "token_type": "Bearer"}
        return 200, granted, {}

    def send(self, asked, told):
        bearer = self.headers["authorization"].removeprefix("Bearer ")
        told.update(bearer=bearer, path=self.path, message=asked["message"])
        if bearer not in tokens:
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}, {}
        return 200, {"name": "projects/pos-1/messages/1"}, {}

    def answer(self, status, body, headers):
        body = json.dumps(body).encode() if not isinstance(body, str) else body.encode()
        try:
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # It was not waited for.

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Google)
server.daemon_threads = True
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = tls.wrap_socket(server.socket, server_side=True)
token_uri = f"https://localhost:{server.server_address[1]}/token"
with open(sys.argv[3], "w") as file:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "project_id": "pos-1",
        "private_key_id": "key-1",
        "private_key": private.decode(),
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": token_uri,
    }
    json.dump(account, file)
threading.Thread(target=server.serve_forever, daemon=True).start()
say({"port": server.server_address[1]})
for line in sys.stdin:
    plan = json.loads(line)
    if "forget" in plan:
        tokens.clear()
    else:
        next_answers[plan["at"]].append(plan)
    say("ready")
