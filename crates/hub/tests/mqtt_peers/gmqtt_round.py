"""A round with gmqtt, which speaks no WebSocket."""
import asyncio, ssl, sys
import gmqtt
from gmqtt.mqtt.constants import MQTTv311, MQTTv50

carrier, version, port, ca, device, token = sys.argv[1:7]

async def main():
    done = asyncio.Event()
    client = gmqtt.Client(device)
    client.set_auth_credentials(device, token)

    def on_message(client, topic, payload, qos, properties):
        print("command", topic.split("/", 4)[4], payload.decode())
        done.set()
        return 0

    def on_subscribe(client, mid, qos, properties):
        for qos in (0, 1, 2):
            client.publish(f"devices/{device}/events/round/{qos}", f"gmqtt {qos}", qos=qos)

    client.on_message, client.on_subscribe = on_message, on_subscribe
    context = False if carrier == "tcp" else ssl.create_default_context(cafile=ca)
    await client.connect("localhost", int(port), ssl=context,
                         version=MQTTv50 if version == "5" else MQTTv311)
    client.subscribe(f"devices/{device}/commands/#", qos=1)
    await asyncio.wait_for(done.wait(), 30)
    await client.disconnect()

asyncio.run(main())
