"""Signs one address for MQTT over WebSocket and one publish with AWS's own libraries, as often as it
is told; prints them as a server receives them, and how long that took."""

import hashlib
import json
import sys
import time
from urllib.parse import urlsplit

from awscrt import auth, http
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "hub.example.com"
TOPIC = "/topics/forts%2Ffort-7%2Fdone"
BODY = b'{"done":true}'
PLAIN = Credentials("AKIDEXAMPLE", SECRET)


def address():
    request = AWSRequest(method="GET", url=f"https://{HOST}/mqtt")
    SigV4QueryAuth(PLAIN, "iotdevicegateway", "eu-north-1", expires=300).add_auth(request)
    return request.prepare()


def publish():
    request = AWSRequest(method="POST", url=f"https://{HOST}{TOPIC}?qos=1", data=BODY)
    SigV4Auth(PLAIN, "iotdata", "eu-north-1").add_auth(request)
    return request.prepare()


PROVIDER = auth.AwsCredentialsProvider.new_static("AKIDEXAMPLE", SECRET)


def signed_by_crt(method, path, service, kind):
    config = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=kind,
        credentials_provider=PROVIDER,
        region="eu-north-1",
        service=service,
    )
    request = http.HttpRequest(method, path, http.HttpHeaders([("Host", HOST)]))
    auth.aws_sign_request(request, config).result()
    return request


def address_by_crt():
    kind = auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS
    return signed_by_crt("GET", "/mqtt", "iotdevicegateway", kind)


def publish_by_crt():
    kind = auth.AwsSignatureType.HTTP_REQUEST_HEADERS
    return signed_by_crt("POST", f"{TOPIC}?qos=1", "iotdata", kind)


def received(prepared, body):
    url = urlsplit(prepared.url)
    text = lambda value: value.decode() if isinstance(value, bytes) else str(value)
    headers = {name.lower(): text(value) for name, value in prepared.headers.items()}
    headers.setdefault("host", url.netloc)
    digest = hashlib.sha256(body).hexdigest()
    return {
        "method": prepared.method,
        "path": url.path,
        "query": url.query,
        "headers": headers,
        "body_sha256": digest,
    }


def seconds(signing, count):
    since = time.perf_counter()
    for _ in range(count):
        signing()
    return time.perf_counter() - since


def main():
    count = int(sys.argv[1])
    told = {}
    for name, body, signing, by_crt in [
        ("address", b"", address, address_by_crt),
        ("publish", BODY, publish, publish_by_crt),
    ]:
        told[name] = {
            "request": received(signing(), body),
            "botocore": seconds(signing, count),
            "awscrt": seconds(by_crt, count),
        }
    json.dump(told, sys.stdout)


main()
