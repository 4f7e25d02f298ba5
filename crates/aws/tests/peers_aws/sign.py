"""Signs requests of many shapes with botocore, and one as AWS's device libraries open MQTT over
WebSocket; prints them as a server receives them."""

import hashlib
import json
import sys
from urllib.parse import urlsplit

from awscrt import auth, http
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "hub.example.com"


def received(case, request, body):
    prepared = request.prepare()
    url = urlsplit(prepared.url)
    headers = {k.lower(): v.decode() if isinstance(v, bytes) else str(v) for k, v in prepared.headers.items()}
    headers.setdefault("host", url.netloc)
    return {
        "case": case,
        "method": prepared.method,
        "path": url.path or "/",
        "query": url.query,
        "headers": headers,
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }


def device(token):
    """What awscrt makes: `connection` is signed too, no end is said, the token is added afterwards."""
    config = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
        credentials_provider=auth.AwsCredentialsProvider.new_static("AKIDEXAMPLE", SECRET, token),
        region="eu-north-1",
        service="iotdevicegateway",
        omit_session_token=True,
    )
    headers = http.HttpHeaders([("Host", HOST), ("Connection", "Upgrade")])
    request = http.HttpRequest("GET", "/mqtt", headers)
    auth.aws_sign_request(request, config).result()
    path, query = request.path.split("?", 1)
    return {
        "case": "device",
        "method": request.method,
        "path": path,
        "query": query,
        "headers": {name.lower(): value for name, value in request.headers},
        "body_sha256": hashlib.sha256(b"").hexdigest(),
    }


def main():
    plain = Credentials("AKIDEXAMPLE", SECRET)
    passing = Credentials("AKIDEXAMPLE", SECRET, "token+with/odd=signs")
    made = [device(None), device("token+with/odd=signs")]
    for name, credentials in [("plain", plain), ("token", passing)]:
        for path in ["/mqtt", "/topics/forts%2Ffort-7%2Fdone?qos=1", "/topics/a%20b/%C3%A5?b=2&a=1&a=0&empty="]:
            body = b"" if path == "/mqtt" else b'{"done":true}'
            method = "POST" if body else "GET"
            request = AWSRequest(method=method, url=f"https://{HOST}{path}", data=body)
            SigV4Auth(credentials, "iotdata", "eu-north-1").add_auth(request)
            made.append(received(f"header {name} {path}", request, body))
            request = AWSRequest(method="GET", url=f"https://{HOST}{path}")
            SigV4QueryAuth(credentials, "iotdevicegateway", "eu-north-1", expires=300).add_auth(request)
            made.append(received(f"query {name} {path}", request, b""))
    json.dump(made, sys.stdout)


main()
