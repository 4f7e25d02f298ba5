"""A round with paho-mqtt: connect, subscribe to commands, publish an event, take one command."""
import sys, threading
import paho.mqtt.client as mqtt

carrier, version, port, ca, device, token = sys.argv[1:7]
transport = "websockets" if carrier == "wss" else "tcp"
protocol = mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device, protocol=protocol, transport=transport)
client.username_pw_set(device, token)
if carrier == "wss":
    client.ws_set_options(path="/mqtt")
if carrier != "tcp":
    client.tls_set(ca_certs=ca)
done = threading.Event()

def on_connect(client, userdata, flags, reason, properties):
    print("connected", reason)
    client.subscribe(f"devices/{device}/commands/#", qos=1)

def on_subscribe(client, userdata, mid, reasons, properties):
    for qos in (0, 1, 2):
        client.publish(f"devices/{device}/events/round/{qos}", f"paho {qos}", qos=qos)

def on_message(client, userdata, message):
    print("command", message.topic.split("/", 4)[4], message.payload.decode())
    done.set()

client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("localhost", int(port), keepalive=30)
client.loop_start()
if not done.wait(30):
    sys.exit("no command")
client.disconnect()
client.loop_stop()
