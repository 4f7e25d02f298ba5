"""A round with gmqtt, which speaks no WebSocket and connects again by itself."""
import asyncio, ssl
import gmqtt
from gmqtt.mqtt.constants import MQTTv311, MQTTv50
from round import *


async def main():
    said = asyncio.Queue()
    lasting = {"session_expiry_interval": 300} if five else {}
    client = gmqtt.Client(device, clean_session=False, will_message=gmqtt.Message(will, "gone", qos=1), **lasting)
    client.set_auth_credentials(device, token)
    client.set_config({"reconnect_delay": 0, "reconnect_retries": 5})
    client.on_connect = lambda c, flags, reason, properties: said.put_nowait(f"in {reason} {bool(flags & 1)}")
    client.on_subscribe = lambda *a: said.put_nowait("subscribed")

    def on_message(client, topic, payload, qos, properties):
        said.put_nowait(heard(topic, payload, properties.get("retain")))
        return 0

    client.on_message = on_message

    async def hear(*wanted):
        wanted = set(wanted)
        while wanted:
            wanted.discard(await said.get())

    await client.connect("localhost", port, ssl=ssl.create_default_context(cafile=ca) if tls else False,
                         version=MQTTv50 if five else MQTTv311)
    assert await said.get() == "in 0 False"
    client.subscribe([gmqtt.Subscription(commands, qos=1), gmqtt.Subscription(will, qos=1)])
    await hear("subscribed", "command")
    for topic, qos in events:
        client.publish(topic, f"gmqtt {qos}", qos=qos)
    client.publish(state, "kept", qos=1, retain=True)
    await client._persistent_storage.wait_empty()
    client.subscribe(gmqtt.Subscription(state, qos=1))
    await hear("subscribed", "state")
    # The connection is gone without a word.
    client._connection._transport.abort()
    assert await said.get() == "in 0 True"
    await hear("will")
    await client.disconnect()

asyncio.run(asyncio.wait_for(main(), 50))
