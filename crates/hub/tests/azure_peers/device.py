"""A device of Azure's SDK for Python that does what it is told, line by line."""

import json
import sys
import threading

from azure.core.exceptions import HttpResponseError
from azure.iot.device import X509, IoTHubDeviceClient, IoTHubModuleClient, Message, MethodResponse
from azure.storage.blob import BlobClient

lock = threading.Lock()
client = None


def say(kind, what=None):
    with lock:
        print(json.dumps([kind, what]), flush=True)


def on_message(message):
    say("message", {
        "data": message.data.decode(),
        "id": message.message_id,
        "type": message.content_type,
        "properties": message.custom_properties,
    })


def on_method(request):
    say("method", {"name": request.name, "payload": request.payload})
    answer = {"heard": request.payload}
    client.send_method_response(MethodResponse.create_from_method_request(request, 201, answer))


def connect(how):
    global client
    common = {
        "server_verification_cert": open(how["authority"]).read(),
        "websockets": how["websockets"],
        "connection_retry": False,
        "auto_connect": False,
    }
    kind = IoTHubModuleClient if how.get("module") else IoTHubDeviceClient
    if "certificate" in how:
        x509 = X509(how["certificate"], how["key"])
        client = kind.create_from_x509_certificate(x509, how["hub"], how["device"], **common)
    elif "token" in how:
        client = kind.create_from_sastoken(how["token"], **common)
    else:
        client = kind.create_from_connection_string(how["string"], **common)
    client.on_connection_state_change = lambda: say("connected", client.connected)
    client.connect()
    if how.get("quiet"):
        return "connected"
    if not how.get("module"):
        client.on_message_received = on_message
    client.on_method_request_received = on_method
    client.on_twin_desired_properties_patch_received = lambda patch: say("desired", patch)
    return "connected"


def send(what):
    message = Message(what["data"])
    message.message_id = "m 1"
    message.content_type = "application/json"
    message.content_encoding = "utf-8"
    message.custom_properties.update(what["properties"])
    client.send_message(message)


def blob_of(info):
    target = "https://{hostName}/{containerName}/{blobName}{sasToken}".format(**info)
    # So that a small file goes in blocks, too.
    return BlobClient.from_blob_url(target, max_single_put_size=65536, max_block_size=65536)


def upload(what):
    info = client.get_storage_info_for_blob(what["name"])
    put = blob_of(info).upload_blob(b"o" * what["bytes"])
    assert put["etag"]
    client.notify_blob_upload_status(info["correlationId"], True, 201, "created")


def fail(what):
    """Says that an upload failed, and gives what the storage says to who tries it after that."""
    info = client.get_storage_info_for_blob(what["name"])
    client.notify_blob_upload_status(info["correlationId"], False, 500, "no disk")
    try:
        blob_of(info).upload_blob(b"late")
    except HttpResponseError as error:
        return error.status_code


ORDERS = {
    "upload": upload,
    "fail": fail,
    "connect": connect,
    "send": send,
    "twin": lambda _: client.get_twin(),
    "report": lambda patch: client.patch_twin_reported_properties(patch),
    "close": lambda _: client.shutdown(),
}

say("ready")
for line in sys.stdin:
    name, what = json.loads(line)
    try:
        say("done", ORDERS[name](what))
    except Exception as error:
        say("done", {"error": type(error).__name__, "why": str(error)})
