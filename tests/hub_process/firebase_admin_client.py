"""PyPI firebase-admin as it comes, against a hub over TLS (REQUESTS_CA_BUNDLE): what only an operator
can do it asks for on its standard output, a line each, and goes on when it is told so."""

import os
import queue
import sys
import threading

import firebase_admin
from firebase_admin import credentials, db, exceptions
from google.auth.credentials import Credentials


class HubToken(Credentials):
    def __init__(self, token):
        super().__init__()
        self.token = token

    def refresh(self, request):
        """What the hub does not accept, it does not accept the second time either."""


class Token(credentials.Base):
    def __init__(self, token):
        self.token = token

    def get_credential(self):
        return HubToken(self.token)


port, device, service = sys.argv[1:]
apps = {
    name: firebase_admin.initialize_app(
        Token(token), {"databaseURL": f"https://localhost:{port}"}, name
    )
    for name, token in (("device", device), ("service", service))
}


def at(path, name="service"):
    return db.reference(f"sites/s/{path}", apps[name])


def refused(do):
    try:
        do()
    except exceptions.UnauthenticatedError as error:
        return str(error)
    raise AssertionError("it is allowed")


def values():
    at("rest").set({"name": "one", "list": ["a", "b"], "deep": {"er": 1}})
    at("rest", "device").update({"deep/er": 2, "gone": None, "name": "two", "é €": "ü"})
    assert at("rest").get() == {"name": "two", "list": ["a", "b"], "deep": {"er": 2}, "é €": "ü"}
    assert at("rest/é €").get() == "ü"
    assert at("rest").get(shallow=True) == dict.fromkeys(["name", "list", "deep", "é €"], True)
    first, second = at("log").push("first"), at("log").push({".sv": "timestamp"})
    assert first.key < second.key and len(first.key) == 20
    assert at("log").get()[first.key] == "first"
    assert isinstance(at("log").get()[second.key], int)
    at("rest").delete()
    assert at("rest").get() is None


def conditions():
    value, etag = at("counted").get(etag=True)
    assert value is None and etag == "null_etag", (value, etag)
    assert at("counted").set_if_unchanged(etag, 1)[0]
    done, value, etag = at("counted").set_if_unchanged(etag, 5)
    assert not done and value == 1, (done, value)
    assert at("counted").set_if_unchanged(etag, 2)[0]
    value, unchanged = at("counted").get_if_changed(etag)[1:]
    assert value == 2
    adding = [
        threading.Thread(
            target=lambda: [at("sum").transaction(lambda sum: (sum or 0) + 1) for _ in range(5)]
        )
        for _ in range(2)
    ]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    assert at("sum").get() == 10, at("sum").get()


def queries():
    at("all").set({f"k{n}": {"n": n, "even": n % 2 == 0} for n in range(20)})
    assert list(at("all").order_by_child("n").limit_to_last(2).get()) == ["k18", "k19"]
    assert set(at("all").order_by_child("n").start_at(3).end_at(4).get()) == {"k3", "k4"}
    assert len(at("all").order_by_child("even").equal_to(True).get()) == 10
    assert set(at("all").order_by_key().start_at("k8").get()) == {"k8", "k9"}


def denied():
    elsewhere = db.reference("sites/other", apps["device"])
    assert "Permission denied" in refused(elsewhere.get)
    assert "Permission denied" in refused(lambda: elsewhere.set(1))
    assert "Permission denied" in refused(lambda: elsewhere.listen(print))


def listening():
    heard = queue.Queue()

    def hear(event):
        heard.put((event.event_type, event.path, event.data))

    def hears():
        return heard.get(timeout=60)

    at("news").set({"a": 1})
    stream = at("news", "device").listen(hear)
    assert hears() == ("put", "/", {"a": 1})
    at("news/a").set(2)
    assert hears() == ("put", "/a", 2)
    at("news").update({"a": 3, "b/c": 4})
    assert hears() == ("patch", "/", {"a": 3, "b": {"c": 4}})
    print("revoke", flush=True)
    sys.stdin.readline()
    at("news/a").set(5)
    refused(at("news", "device").get)
    assert heard.empty(), heard.get()
    assert at("news/a").get() == 5
    stream._sse.close()


for step in (values, conditions, queries, denied, listening):
    step()
    print("did", step.__name__, flush=True)
print("end", flush=True)
os._exit(0)
