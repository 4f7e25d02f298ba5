"""A device that asks the provisioning service by PyPI's azure-iot-device, unmodified, which hub is
its own. Its orders are one argument in JSON; it says what it is told as JSON."""

import json
import sys

from azure.iot.device import IoTHubDeviceClient, Message, ProvisioningDeviceClient, X509

orders = json.loads(sys.argv[1])
common = {
    "server_verification_cert": open(orders["authority"]).read(),
    "websockets": orders["websockets"],
}
names = (orders["host"], orders["registration"], orders["scope"])
if "key" in orders:
    client = ProvisioningDeviceClient.create_from_symmetric_key(*names, orders["key"], **common)
else:
    x509 = X509(orders["certificate"], orders["key_file"])
    client = ProvisioningDeviceClient.create_from_x509_certificate(*names, x509, **common)
if "payload" in orders:
    client.provisioning_payload = orders["payload"]
try:
    result = client.register()
except Exception as error:
    print(json.dumps({"error": type(error).__name__}))
    sys.exit(0)
state = result.registration_state
told = {"status": result.status, "hub": state.assigned_hub, "device": state.device_id}
if orders.get("connect"):
    if "key" in orders:
        device = IoTHubDeviceClient.create_from_symmetric_key(
            orders["key"], state.assigned_hub, state.device_id, **common
        )
    else:
        device = IoTHubDeviceClient.create_from_x509_certificate(
            x509, state.assigned_hub, state.device_id, **common
        )
    device.connect()
    device.send_message(Message("here"))
    device.shutdown()
    told["connected"] = True
print(json.dumps(told))
