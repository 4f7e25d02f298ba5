# An API: answers with what it was asked, or as no careful server would. It writes down what it is
# asked before it answers.

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, ELSEWHERE = int(sys.argv[1]), int(sys.argv[2])


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print(self.path)
        act = getattr(self, self.path.removeprefix("/v1/open/"), self.echo)
        act()

    def echo(self):
        names = {
            "device": "outgate-device",
            "site": "outgate-site",
            "authorization": "authorization",
        }
        told = {name: self.headers.get(header) for name, header in names.items()}
        self.answer(200, json.dumps({"path": self.path, **told}).encode())

    def answer(self, status, body, **headers):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def moved(self):
        self.answer(307, b"", location=f"http://127.0.0.1:{ELSEWHERE}/v1/open/a")

    def overloaded(self):
        self.answer(503, b"come again")

    def endless(self):
        self.send_response(200)
        self.send_header("connection", "close")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"more " * 100)
        except OSError:
            self.close_connection = True

    def short(self):
        self.send_response(200)
        self.send_header("content-length", "100")
        self.end_headers()
        self.wfile.write(b"ten bytes.")
        self.close_connection = True

    def noise(self):
        self.wfile.write(b"this is no HTTP\r\n\r\n")
        self.close_connection = True

    def silent(self):
        self.close_connection = True

    def held(self):
        threading.Event().wait()

    def dribble(self):
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"a")
                time.sleep(0.1)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", PORT), Api)
server.daemon_threads = True
server.handle_error = lambda *_: None
server.serve_forever()
