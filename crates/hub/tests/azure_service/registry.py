"""A back end by PyPI's azure-iot-hub, unmodified, and a device over plain HTTPS. Its orders are one
argument in JSON; it says what it has seen as JSON."""

import json
import sys

import requests
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification, Twin, TwinProperties
from azure.iot.hub.sastoken import SasToken
from msrest.exceptions import HttpOperationError

orders = json.loads(sys.argv[1])
hub = orders["hub"]
keys = ["cHJpbWFyeSBrZXkgb2YgdGhlIGRldmljZSE=", "c2Vjb25kYXJ5IGtleSBvZiB0aGUgZGV2aWNl"]
version = {"api-version": "2021-04-12"}


def manager(policy):
    key = orders["keys"][policy]
    string = f"HostName={hub};SharedAccessKeyName={policy};SharedAccessKey={key}"
    return IoTHubRegistryManager.from_connection_string(string)


def refused(what, *arguments, **named):
    """With which status something is refused."""
    try:
        what(*arguments, **named)
    except HttpOperationError as error:
        return error.response.status_code
    return None


def registry(owner):
    made = owner.create_device_with_sas("till-1", keys[0], keys[1], "enabled")
    assert made.authentication.symmetric_key.primary_key == keys[0], made
    assert refused(owner.create_device_with_sas, "till-1", *keys, "enabled") == 409
    assert refused(owner.create_device_with_sas, "no name", *keys, "enabled") == 404
    got = owner.get_device("till-1")
    assert got.status == "enabled" and got.connection_state == "Disconnected", got
    rolled = owner.update_device_with_sas("till-1", got.etag, keys[1], keys[0], "enabled")
    assert rolled.authentication.symmetric_key.primary_key == keys[1]
    stale = refused(owner.update_device_with_sas, "till-1", got.etag, *keys, "enabled")
    assert stale == 412, stale
    prints = ["ab" * 32, "CD" * 32]
    pinned = owner.create_device_with_x509("till-2", *prints, "disabled")
    assert pinned.status == "disabled"
    assert pinned.authentication.type == "selfSigned", pinned
    assert refused(owner.create_device_with_x509, "till-3", "ab" * 20, None, "enabled") == 400
    owner.create_device_with_certificate_authority("till-3", "enabled")
    names = [device.device_id for device in owner.get_devices()]
    assert names == ["till-1", "till-2", "till-3"], names
    assert len(owner.get_devices(2)) == 2
    counted = owner.get_device_registry_statistics()
    counts = (counted.total_device_count, counted.disabled_device_count)
    assert counts == (3, 1), counts
    assert owner.get_service_statistics().connected_device_count == 0
    assert owner.get_modules("till-1") == []
    owner.delete_device("till-3")
    assert refused(owner.get_device, "till-3") == 404
    assert refused(owner.delete_device, "till-3") == 404


def twins(owner):
    change = Twin(tags={"shop": 7}, properties=TwinProperties(desired={"light": "on", "a": 1}))
    twin = owner.update_twin("till-1", change, "*")
    assert twin.tags == {"shop": 7} and twin.properties.desired["light"] == "on", twin
    stale = twin.etag
    change = Twin(properties=TwinProperties(desired={"light": None}))
    twin = owner.update_twin("till-1", change, twin.etag)
    assert "light" not in twin.properties.desired and twin.tags == {"shop": 7}, twin
    assert refused(owner.update_twin, "till-1", change, stale) == 412
    whole = Twin(tags={"shop": 8}, properties=TwinProperties(desired={"b": 2}))
    twin = owner.replace_twin("till-1", whole, twin.etag)
    assert twin.tags == {"shop": 8} and "a" not in twin.properties.desired, twin
    assert owner.get_twin("till-1").etag == twin.etag
    for query, names in [
        ("SELECT * FROM devices", ["till-1", "till-2"]),
        ("SELECT * FROM devices WHERE tags.shop = 8", ["till-1"]),
        ("SELECT * FROM devices WHERE status = 'disabled'", ["till-2"]),
    ]:
        found = owner.query_iot_hub(QuerySpecification(query=query)).items
        assert [one.device_id for one in found] == names, query
    first = owner.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), None, 1)
    assert len(first.items) == 1 and first.continuation_token, first
    query = QuerySpecification(query="SELECT * FROM devices")
    second = owner.query_iot_hub(query, first.continuation_token, 1)
    assert [one.device_id for one in second.items] == ["till-2"]
    assert refused(owner.query_iot_hub, QuerySpecification(query="SELECT 1")) == 400


def methods(owner):
    method = CloudToDeviceMethod(
        method_name="greet", payload={"name": "you"}, response_timeout_in_seconds=5
    )
    assert refused(owner.invoke_device_method, "till-1", method) == 404


def permissions():
    reader = manager("registryRead")
    told = reader.get_device("till-1").authentication.symmetric_key
    assert told.primary_key is None, "who reads is told no keys"
    assert refused(reader.delete_device, "till-1") == 403
    assert refused(reader.get_twin, "till-1") == 403
    service = manager("service")
    assert service.get_twin("till-1").device_id == "till-1"
    assert refused(service.get_device, "till-1") == 403
    orders["keys"]["stranger"] = orders["keys"]["service"]
    assert refused(manager("stranger").get_device, "till-1") == 401
    orders["keys"]["iothubowner"] = orders["keys"]["service"]
    assert refused(manager("iothubowner").get_device, "till-1") == 401


def device(owner):
    """A device that says something and takes what is said to it, over HTTPS."""
    base = f"https://{hub}/devices/till-1/messages"
    token = str(SasToken(f"{hub}/devices/till-1", keys[1]))
    headers = {"Authorization": token, "iothub-messageid": "m 1", "iothub-app-door": "front"}
    said = requests.post(f"{base}/events", b"open", params=version, headers=headers)
    assert said.status_code == 204, said.text
    batch = [{"body": "b3Blbg==", "properties": {"iothub-app-door": "back"}}]
    json_of_hub = {"Authorization": token, "Content-Type": "application/vnd.microsoft.iothub.json"}
    said = requests.post(f"{base}/events", json.dumps(batch), params=version, headers=json_of_hub)
    assert said.status_code == 204, said.text
    mine = {"Authorization": token}
    none = requests.get(f"{base}/deviceBound", params=version, headers=mine)
    assert none.status_code == 204, none.text
    owners = str(SasToken(hub, orders["keys"]["service"], "service"))
    for text in [b"one", b"two"]:
        to = {
            "Authorization": owners,
            "iothub-to": "/devices/till-1/messages/devicebound",
            "iothub-app-colour": "light blue",
        }
        url = f"https://{hub}/messages/devicebound"
        sent = requests.post(url, text, params=version, headers=to)
        assert sent.status_code == 204, sent.text
    taken = requests.get(f"{base}/deviceBound", params=version, headers=mine)
    assert taken.status_code == 200 and taken.content == b"one", taken.text
    assert taken.headers["iothub-app-colour"] == "light blue", taken.headers
    lock = taken.headers["ETag"].strip('"')
    abandon = f"{base}/deviceBound/{lock}/abandon"
    assert requests.post(abandon, params=version, headers=mine).status_code == 204
    again = requests.get(f"{base}/deviceBound", params=version, headers=mine)
    assert again.content == b"one" and again.headers["ETag"].strip('"') == lock
    done = f"{base}/deviceBound/{lock}"
    assert requests.delete(done, params=version, headers=mine).status_code == 204
    assert requests.delete(done, params=version | {"reject": ""}, headers=mine).status_code == 412
    assert requests.delete(f"{base}/deviceBound/x", params=version, headers=mine).status_code == 412
    url = f"https://{hub}/devices/till-1/commands"
    purged = requests.delete(url, params=version, headers={"Authorization": owners})
    assert purged.json()["totalMessagesPurged"] == 1, purged.text
    other = {"Authorization": str(SasToken(f"{hub}/devices/till-2", keys[1]))}
    assert requests.get(f"{base}/deviceBound", params=version, headers=other).status_code == 401
    ended = {"Authorization": str(SasToken(f"{hub}/devices/till-1", keys[1], ttl=-5))}
    assert requests.get(f"{base}/deviceBound", params=version, headers=ended).status_code == 401


owner = manager("iothubowner")
registry(owner)
twins(owner)
methods(owner)
service = dict(orders["keys"])
device(owner)
permissions()
print("done")
