"""Last words of paho-mqtt that are an event."""
import queue
import paho.mqtt.client as mqtt
from round import *

client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2, client_id=device,
    protocol=mqtt.MQTTv5 if five else mqtt.MQTTv311)
client.connect_timeout = 30
client.username_pw_set(device, token)
client.will_set(f"devices/{device}/events/offline", "gone", qos=1)
said = queue.Queue()
client.on_connect = lambda c, u, flags, reason, p: said.put(f"in {reason}")
client.connect("localhost", port)
client.loop_start()
assert said.get(timeout=30) == "in Success"
online = client.publish(f"devices/{device}/events/online", "x", qos=1)
online.wait_for_publish(30)
assert online.is_published()
# The connection is gone without a word.
client.loop_stop()
client.socket().close()
