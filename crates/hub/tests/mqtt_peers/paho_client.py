"""A round with paho-mqtt."""
import queue, time
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from round import *


def come_in():
    """Connects to the kept session, and gives the client and what it hears."""
    kept = {} if five else {"clean_session": False}
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=device, transport="websockets" if web else "tcp",
        protocol=mqtt.MQTTv5 if five else mqtt.MQTTv311, **kept)
    client.connect_timeout = 30
    client.username_pw_set(device, token)
    client.will_set(will, "gone", qos=1)
    if web:
        client.ws_set_options(path="/mqtt")
    if tls:
        client.tls_set(ca_certs=ca)
    if proxy:
        import socks
        client.proxy_set(proxy_type=socks.HTTP, proxy_addr="127.0.0.1", proxy_port=proxy)
    said = queue.Queue()
    client.on_connect = lambda c, u, flags, reason, p: said.put(f"in {reason} {flags.session_present}")
    client.on_subscribe = lambda *a: said.put("subscribed")
    client.on_message = lambda c, u, m: said.put(heard(m.topic, m.payload, m.retain))
    if five:
        lasting = Properties(PacketTypes.CONNECT)
        lasting.SessionExpiryInterval = 300
        client.connect("localhost", port, clean_start=False, properties=lasting)
    else:
        client.connect("localhost", port)
    client.loop_start()
    return client, said


client, said = come_in()
assert said.get(timeout=30) == "in Success False"
client.subscribe([(commands, 1), (will, 1)])
expected = {"subscribed", "command"}
while expected:
    expected.discard(said.get(timeout=30))
acknowledged = [client.publish(topic, f"paho {qos}", qos=qos) for topic, qos in events]
acknowledged.append(client.publish(state, "kept", qos=1, retain=True))
for one in acknowledged:
    one.wait_for_publish(30)
    assert one.is_published()
client.subscribe(state, 1)
while said.get(timeout=30) != "state":
    pass
# The connection is gone without a word.
client.loop_stop()
client.socket().close()
client, said = come_in()
assert said.get(timeout=30) == "in Success True"
# The state comes again when the break came before its acknowledgement had left.
while said.get(timeout=30) != "will":
    pass
client.disconnect()
client.loop_stop()
