"""Reads what is wanted from standard input, in JSON, and says in JSON what PyJWT makes of it.

With `make`: tokens that begin then, one by each algorithm, the keys by which they hold, and other
keys of the same names. With `keys` and `tokens`: of whom each token speaks, or null.
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

MAKERS = {
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "ES384": (lambda: ec.generate_private_key(ec.SECP384R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "PS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
}


def public(name, key):
    told = json.loads(MAKERS[name][1].to_jwk(key.public_key()))
    return told | {"kid": name}


def made(now):
    pairs = {name: maker() for name, (maker, _) in MAKERS.items()}
    others = {name: maker() for name, (maker, _) in MAKERS.items()}
    claims = {"iss": "https://login.example", "aud": "outgate", "sub": "ann"}
    claims |= {"iat": now, "nbf": now, "exp": now + 60}
    tokens = {
        name: jwt.encode(claims, key, algorithm=name, headers={"kid": name})
        for name, key in pairs.items()
    }
    sets = [{"keys": [public(*pair) for pair in them.items()]} for them in (pairs, others)]
    return {"tokens": tokens, "keys": sets[0], "others": sets[1]}


def spoken_of(token, keys):
    try:
        name = jwt.get_unverified_header(token)["kid"]
        claims = jwt.decode(
            token,
            keys[name],
            algorithms=["ES256", "EdDSA"],
            audience="outgate",
            issuer="https://login.example",
            options={"verify_exp": False},
        )
        return claims["sub"]
    except jwt.PyJWTError:
        return None


asked = json.load(sys.stdin)
if "make" in asked:
    told = made(asked["make"])
else:
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(asked["keys"]).keys}
    told = [spoken_of(token, keys) for token in asked["tokens"]]
json.dump(told, sys.stdout)
