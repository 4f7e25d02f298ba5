"""What the Python clients of a round share: its arguments, and what is to be heard."""
import sys

carrier, version, port, proxy, ca, device, token = sys.argv[1:8]
port, five, tls, web = int(port), version == "5", carrier != "tcp", carrier == "wss"
# The proxy that the client is to ask itself, or none.
proxy = int(proxy) or None
commands, will, state = (f"devices/{device}/{name}" for name in ("commands/#", "will", "state"))
events = [(f"devices/{device}/events/round/{qos}", qos) for qos in (0, 1, 2)]


def heard(topic, payload, retain):
    """Tells of a message as the test wants to hear of it."""
    payload = bytes(payload).decode()
    if "/commands/" in topic:
        line = f"command {topic.split('/', 4)[4]} {payload}"
    elif topic == state:
        line = f"state {payload} {'retained' if retain else 'live'}"
    else:
        line = f"will {payload}"
    print(line, flush=True)
    return line.split()[0]
