"""Usage: back_end.py CONNECTION_STRING CA ORDER…

A vendor's back end for Azure SignalR Service: makes clients' tokens and asks the data plane.
ORDER is JSON: ["token", PATH, USER] or [METHOD, PATH, BODY, AUDIENCE?]; prints a JSON answer each.
"""

import json
import sys
import time

import jwt
import requests

_, connection_string, authority, *orders = sys.argv
settings = dict(part.split("=", 1) for part in connection_string.rstrip(";").split(";"))
endpoint, key = settings["Endpoint"], settings["AccessKey"]


def signed(audience, **claims):
    claims = {"aud": audience, "iat": int(time.time()), "exp": int(time.time()) + 600, **claims}
    return jwt.encode(claims, key, algorithm="HS256")


def run(what, path, *more):
    url = endpoint + path
    if what == "token":
        return signed(url, nameid=more[0], role="cashier")
    if what == "expired":
        return signed(url, nameid=more[0], exp=int(time.time()) - 600)
    body, audience = more[0], (more[1] if len(more) > 1 else url.split("?")[0])
    answer = requests.request(
        what,
        url,
        json=body,
        headers={"Authorization": f"Bearer {signed(audience)}"},
        verify=authority,
        timeout=30,
    )
    return answer.status_code


for order in orders:
    print(json.dumps(run(*json.loads(order))))
