"""A device of AWS's SDK for Python that does what it is told, line by line."""

import http.client
import json
import ssl
import sys
import threading
from concurrent.futures import Future

from awscrt import auth, io, mqtt, mqtt5
from awscrt import http as crt_http
from awsiot import mqtt5_client_builder, mqtt_connection_builder

PATIENCE = 60

lock = threading.Lock()
client = None


def say(kind, what=None):
    with lock:
        print(json.dumps([kind, what]), flush=True)


def credentials(how):
    return auth.AwsCredentialsProvider.new_static(how["id"], how["secret"], how.get("session"))


def options(how):
    """What tells the SDK how to come in, and by which of its builders' functions."""
    common = {"endpoint": how["host"], "client_id": how["name"], "ca_filepath": how["authority"]}
    if "port" in how:
        common["port"] = how["port"]
    if how["way"] == "certificate":
        common |= {"cert_filepath": how["certificate"], "pri_key_filepath": how["key"]}
        return "mtls_from_path", common
    if how["way"] == "signed":
        common |= {"region": how["region"], "credentials_provider": credentials(how)}
        return "websockets_with_default_aws_signing", common
    common |= {"auth_username": how["device"], "auth_authorizer_name": "outgate"}
    if how.get("as_password"):
        common["auth_password"] = how["token"]
    else:
        common |= {"auth_token_key_name": "token", "auth_token_value": how["token"]}
    return how["way"] + "_with_custom_authorizer", common


class Old:
    """MQTT 3.1.1."""

    def __init__(self, how):
        function, common = options(how)
        self.connection = getattr(mqtt_connection_builder, function)(
            clean_session=how.get("clean", True),
            on_connection_interrupted=lambda connection, error, **_: say("interrupted", str(error)),
            **common,
        )

        # Before anything comes: what waits for a session that is kept comes at once.
        self.connection.on_message(lambda topic, payload, **_: say("message", [topic, payload.decode()]))

    def connect(self):
        self.connection.connect().result(PATIENCE)

    def subscribe(self, topic, qos):
        done, _ = self.connection.subscribe(topic, mqtt.QoS(qos))
        return int(done.result(PATIENCE)["qos"])

    def publish(self, topic, payload, qos, retain):
        done, _ = self.connection.publish(topic, payload, mqtt.QoS(qos), retain)
        done.result(PATIENCE)
        return "done"

    def close(self):
        self.connection.disconnect().result(PATIENCE)


class New:
    """MQTT 5."""

    def __init__(self, how):
        function, common = options(how)
        self.connected, self.stopped = Future(), Future()
        self.client = getattr(mqtt5_client_builder, function)(
            on_publish_received=self.on_message,
            on_lifecycle_connection_success=lambda data: self.settle(None),
            on_lifecycle_connection_failure=lambda data: self.settle(data),
            on_lifecycle_disconnection=lambda data: say("interrupted", str(data.exception)),
            on_lifecycle_stopped=lambda data: self.stopped.set_result(None),
            **common,
        )

    def on_message(self, data):
        packet = data.publish_packet
        say("message", [packet.topic, packet.payload.decode()])

    def settle(self, failure):
        if self.connected.done():
            return
        if failure is None:
            self.connected.set_result(None)
        else:
            self.connected.set_exception(failure.exception)

    def connect(self):
        self.client.start()
        try:
            self.connected.result(PATIENCE)
        except Exception:
            # Else it would try again.
            self.client.stop()
            raise

    def subscribe(self, topic, qos):
        filters = [mqtt5.Subscription(topic_filter=topic, qos=mqtt5.QoS(qos))]
        done = self.client.subscribe(mqtt5.SubscribePacket(subscriptions=filters))
        return int(done.result(PATIENCE).reason_codes[0])

    def publish(self, topic, payload, qos, retain):
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS(qos), retain=retain)
        done = self.client.publish(packet).result(PATIENCE)
        return int(done.puback.reason_code) if done.puback else "done"

    def close(self):
        self.client.stop()
        self.stopped.result(PATIENCE)


def connect(how):
    global client
    client = (New if how["version"] == 5 else Old)(how)
    client.connect()
    return "connected"


def opened(how):
    """Which status an address gets that is signed for `signed_for` and then changed."""
    config = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
        credentials_provider=credentials(how),
        region=how["region"],
        service=how.get("service", "iotdevicegateway"),
        omit_session_token=True,
        **({"date": __import__("datetime").datetime.fromisoformat(how["at"])} if "at" in how else {}),
        **({"expiration_in_seconds": how["lasts"]} if "lasts" in how else {}),
    )
    headers = crt_http.HttpHeaders([("Host", how["host"]), ("Connection", "Upgrade")])
    request = crt_http.HttpRequest("GET", "/mqtt", headers)
    auth.aws_sign_request(request, config).result(PATIENCE)
    path = request.path
    for before, after in how.get("changed", []):
        assert before in path, path
        path = path.replace(before, after)
    context = ssl.create_default_context(cafile=how["authority"])
    connection = http.client.HTTPSConnection(how["at_host"], 443, context=context, timeout=PATIENCE)
    connection.putrequest("GET", path, skip_host=True)
    said = {
        "Host": how.get("said_host", how["host"]),
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "mqtt",
    }
    for name, value in said.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse().status


def published(how):
    """What comes of publishing by boto3: its status."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    data = boto3.client(
        "iot-data",
        region_name=how["region"],
        endpoint_url="https://" + how["host"],
        aws_access_key_id=how["id"],
        aws_secret_access_key=how["secret"],
        aws_session_token=how.get("session"),
        verify=how["authority"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    try:
        done = data.publish(
            topic=how["topic"],
            payload=how["payload"].encode(),
            qos=how.get("qos", 1),
            retain=how.get("retain", False),
            contentType=how.get("type", "text/plain"),
        )
        return done["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


def asked(how):
    """An HTTPS request with a certificate, as the hub's documentation has it."""
    context = ssl.create_default_context(cafile=how["authority"])
    if "certificate" in how:
        context.load_cert_chain(how["certificate"], how["key"])
    context.set_alpn_protocols(how.get("alpn", ["http/1.1"]))
    connection = http.client.HTTPSConnection(how["host"], 443, context=context, timeout=PATIENCE)
    connection.request(how["method"], how["path"], how.get("body"))
    response = connection.getresponse()
    return [response.status, json.loads(response.read() or "null")]


def provided(how):
    """A key as AWS's own provider fetches it from the hub, by the certificate."""
    tls = io.TlsContextOptions.create_client_with_mtls_from_path(how["certificate"], how["key"])
    tls.override_default_trust_store_from_path(None, how["authority"])
    provider = auth.AwsCredentialsProvider.new_x509(
        endpoint=how["host"],
        thing_name=how["device"],
        role_alias=how["alias"],
        tls_ctx=io.ClientTlsContext(tls),
    )
    found = provider.get_credentials().result(PATIENCE)
    return {
        "id": found.access_key_id,
        "secret": found.secret_access_key,
        "session": found.session_token,
    }


ORDERS = {
    "connect": connect,
    "open": opened,
    "post": published,
    "ask": asked,
    "provide": provided,
    "serve": served,
    "stream": streamed,
    "listen": listened,
    "request": asked_once,
    "subscribe": lambda what: client.subscribe(*what),
    "publish": lambda what: client.publish(*what),
    "close": lambda _: client.close(),
}

for line in sys.stdin:
    order, what = json.loads(line)
    try:
        say("done", ORDERS[order](what))
    except Exception as error:
        say("done", {"error": type(error).__name__, "why": str(error)})
