"""Signs or verifies one message with http-message-signatures: a question and an answer in JSON."""

import datetime
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException


class Fields:
    """The fields of a head, of which a name may have several lines."""

    def __init__(self, pairs):
        self.pairs = [tuple(pair) for pair in pairs]

    def items(self):
        return list(self.pairs)

    def __iter__(self):
        return iter([name for name, _ in self.pairs])

    def __contains__(self, name):
        return any(one.lower() == name.lower() for one, _ in self.pairs)

    def __delitem__(self, name):
        self.pairs = [pair for pair in self.pairs if pair[0].lower() != name.lower()]

    def __setitem__(self, name, value):
        del self[name]
        self.pairs.append((name, value))

    def __getitem__(self, name):
        return ", ".join(value for one, value in self.pairs if one.lower() == name.lower())


class Message:
    def __init__(self, told):
        self.headers = Fields(told["headers"])
        if "status" in told:
            self.status_code = told["status"]
            self.request = Message(told["request"])
        else:
            self.method, self.url = told["method"], told["url"]


question = json.load(sys.stdin)
key = Ed25519PrivateKey.from_private_bytes(bytes(question["seed"]))


class Keys(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id):
        return key.public_key()

    def resolve_private_key(self, key_id):
        return key


message = Message(question["message"])
kind = {"signature_algorithm": algorithms.ED25519, "key_resolver": Keys()}
if question["do"] == "sign":
    now = datetime.datetime.now(datetime.timezone.utc)
    HTTPMessageSigner(**kind).sign(
        message,
        key_id=question["keyid"],
        created=now,
        expires=now + datetime.timedelta(minutes=5),
        nonce="cHl0aG9u",
        label="till",
        tag=question["tag"],
        covered_component_ids=question["components"],
        use_existing_digest=True,
    )
    answer = {"headers": message.headers.pairs}
else:
    try:
        [result] = HTTPMessageVerifier(**kind).verify(
            message,
            max_age=datetime.timedelta(minutes=5),
            expect_tag=question["tag"],
            require_components=question["components"],
            body=question["body"].encode(),
        )
        covered = [one for one in result.covered_components if one != '"@signature-params"']
        answer = {"keyid": result.parameters["keyid"], "covered": covered}
    except HTTPMessageSignaturesException as error:
        answer = {"refused": str(error)}
print(json.dumps(answer))
