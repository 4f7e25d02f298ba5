"""A device that asks the provisioning service over HTTPS with its certificate, by Python's own
libraries. Its orders are one argument in JSON; it says what it is told as JSON."""

import http.client
import json
import ssl
import sys
import time

orders = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile=orders["authority"])
context.load_cert_chain(orders["certificate"], orders["key_file"])
base = "/{scope}/registrations/{registration}".format(**orders)


def ask(method, path, body=None):
    connection = http.client.HTTPSConnection(orders["host"], context=context)
    headers = {"Content-Type": "application/json"}
    connection.request(method, f"{base}/{path}?api-version=2021-06-01", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.getheader("Retry-After"), json.loads(answer.read())


registration = json.dumps({"registrationId": orders["registration"]})
status, wait, told = ask("PUT", "register", registration)
while status == 202:
    time.sleep(int(wait))
    status, wait, told = ask("GET", "operations/" + told["operationId"])
if status != 200:
    print(json.dumps({"error": told}))
else:
    state = told["registrationState"]
    told = {"status": told["status"], "hub": state["assignedHub"], "device": state["deviceId"]}
    print(json.dumps(told))
