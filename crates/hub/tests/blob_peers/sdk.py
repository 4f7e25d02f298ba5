"""Azure's library for Blob storage, through addresses with a signature.

Reads a JSON object from standard input: the addresses by what they are for, and a file of trusted
authorities. Writes one JSON object: what came of each step.
"""

import base64
import hashlib
import json
import sys

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobClient, BlobServiceClient, ContentSettings
from azure.storage.blob import BlobSasPermissions, generate_blob_sas

ASKED = json.load(open(sys.argv[1]))
ADDRESSES = ASKED["addresses"]
RESULTS = {}
LARGE = 200 << 20


def client(name):
    return BlobClient.from_blob_url(
        ADDRESSES[name], retry_total=0, connection_verify=ASKED["trust"]
    )


def step(name, act):
    """Notes what an act gives, or how it is refused."""
    try:
        RESULTS[name] = act()
    except HttpResponseError as error:
        code = getattr(error, "error_code", None)
        RESULTS[name] = [type(error).__name__, error.status_code, code and str(getattr(code, "value", code))]


def azurite():
    """Addresses of azurite's, in place of those of a hub."""
    port = ASKED["azurite"]
    account, key = "devstoreaccount1", ASKED["key"]
    base = f"http://127.0.0.1:{port}/{account}"
    BlobServiceClient(base, credential=key).create_container("files")

    def address(blob, permission, start="2020-01-01T00:00:00Z", end="2035-01-01T00:00:00Z"):
        sas = generate_blob_sas(
            account, "files", blob, account_key=key, permission=permission, start=start, expiry=end
        )
        return f"{base}/files/{blob}?{sas}"

    read, write = BlobSasPermissions(read=True), BlobSasPermissions(create=True, write=True)
    delete = BlobSasPermissions(delete=True)
    for blob in ["small", "empty", "large", "hashed", "missing", "odd"]:
        ADDRESSES[blob + "-read"] = address("t7/" + blob, read)
        ADDRESSES[blob + "-write"] = address("t7/" + blob, write)
        ADDRESSES[blob + "-delete"] = address("t7/" + blob, delete)
    ADDRESSES["expired"] = address("t7/small", read, end="2021-01-01T00:00:00Z")
    ADDRESSES["tampered"] = ADDRESSES["small-read"].replace("sp=r", "sp=rw")
    ADDRESSES["other-file"] = ADDRESSES["small-read"].replace("/small?", "/empty?")


def upload(name, data, **options):
    def act():
        told = client(name).upload_blob(data, **options)
        return sorted(key for key in told if key in ("etag", "last_modified", "request_id"))

    return act


def download(name, **options):
    return lambda: client(name).download_blob(**options).readall().decode()


def delete(name, **options):
    return lambda: client(name).delete_blob(**options)


def properties(name):
    def act():
        told = client(name).get_blob_properties()
        settings = told.content_settings
        return {
            "name": told.name.rsplit("/")[-1],
            "size": told.size,
            "type": told.blob_type,
            "metadata": told.metadata,
            "content_type": settings.content_type,
            "cache_control": settings.cache_control,
            "lease": [told.lease.status, told.lease.state],
        }

    return act


def conditional(condition, etag=None):
    def act():
        blob = client("small-read")
        tag = etag or blob.get_blob_properties().etag
        return blob.download_blob(etag=tag, match_condition=condition).readall().decode()

    return act


class Large:
    """A long file that takes no memory."""

    def __init__(self, size):
        self.left, self.sha256 = size, hashlib.sha256()

    def read(self, most=-1):
        size = self.left if most < 0 else min(most, self.left)
        part = bytes(index % 251 for index in range(1024)) * (size // 1024 + 1)
        part = part[:size]
        self.left -= size
        self.sha256.update(part)
        return part


def large():
    source = Large(LARGE)
    client("large-write").upload_blob(source, length=LARGE, max_concurrency=4, overwrite=True)
    got = hashlib.sha256()
    for part in client("large-read").download_blob(max_concurrency=2).chunks():
        got.update(part)
    blocks, _ = client("large-read").get_block_list("committed")
    sizes = sorted({block.size for block in blocks})
    return [got.hexdigest() == source.sha256.hexdigest(), len(blocks), sizes]


def blocks():
    blob = client("hashed-write")
    first = base64.b64encode(b"first").decode()
    blob.stage_block(first, b"abc", validate_content=True)
    blob.commit_block_list(
        [BlobBlock(first)], content_settings=ContentSettings(content_type="a/b")
    )
    return client("hashed-read").download_blob(validate_content=True).readall().decode()


def names(*lengths):
    """Stages a block by each of these names."""

    def act():
        for length in lengths:
            name = base64.b64encode(b"n" * length).decode()
            client("odd-write").stage_block(name, b"abc")

    return act


def steps():
    told = ContentSettings(content_type="text/plain", cache_control="no-store")
    options = {"content_settings": told, "metadata": {"shop": "7"}}
    step("missing", download("missing-read"))
    step("missing properties", properties("missing-read"))
    step("small", upload("small-write", b"hello", **options))
    step("conflict", upload("small-write", b"other"))
    step("get", download("small-read"))
    step("range", download("small-read", offset=1, length=3))
    step("beyond", download("small-read", offset=9, length=3))
    step("properties", properties("small-read"))
    step("same", conditional(MatchConditions.IfNotModified))
    step("changed", conditional(MatchConditions.IfNotModified, '"0x5"'))
    step("news", conditional(MatchConditions.IfModified))
    step("empty", upload("empty-write", b""))
    step("get empty", download("empty-read"))
    step("expired", download("expired"))
    step("tampered", download("tampered"))
    step("other file", download("other-file"))
    step("read by write", download("small-write"))
    step("write by read", upload("small-read", b"other", overwrite=True))
    step("delete by read", delete("small-read"))
    step("delete by write", delete("small-write"))
    step("read by delete", download("small-delete"))
    step("overwritten", upload("small-write", b"hello again", overwrite=True, validate_content=True))
    step("get again", download("small-read", validate_content=True))
    step("no such block", lambda: client("small-write").commit_block_list([BlobBlock("AAAA")]))
    step("blocks", blocks)
    step("names of one length", names(4, 4))
    step("a shorter name", names(3))
    step("a longer name", names(5))
    step("large", large)
    step("delete missing", delete("missing-delete"))
    step("delete another", delete("small-delete", etag='"0x5"', match_condition=MatchConditions.IfNotModified))
    step("delete no other", delete("missing-delete", etag='"0x5"', match_condition=MatchConditions.IfNotModified))
    step("delete if present", delete("missing-delete", match_condition=MatchConditions.IfPresent))
    step("still there", download("small-read"))
    step("delete", delete("small-delete"))
    step("gone", download("small-read"))
    step("delete again", delete("small-delete"))
    step("delete with snapshots", delete("hashed-delete", delete_snapshots="include"))
    step("hashed is gone", properties("hashed-read"))


def wait(said):
    """Says how far it is, and waits for a word."""
    print(said, flush=True)
    sys.stdin.readline()


def get_on():
    """Reads on when it is told to."""
    parts = client("large-read").download_blob(max_concurrency=1).chunks()
    size = len(next(parts))
    wait("begun")
    for part in parts:
        size += len(part)
    return size


class Halting(Large):
    """Waits for a word in the middle."""

    def read(self, most=-1):
        if 0 < self.left <= LARGE - (16 << 20) and not hasattr(self, "told"):
            self.told = True
            wait("begun")
        return super().read(most)


def put_on():
    """Sends on when it is told to."""
    client("large-write").upload_blob(Halting(LARGE), length=LARGE, overwrite=True)
    return "all of it"


if "azurite" in ASKED:
    azurite()
for act in ASKED["acts"]:
    {"steps": steps, "get on": lambda: step("get on", get_on), "put on": lambda: step("put on", put_on)}[act]()
print(json.dumps(RESULTS))
