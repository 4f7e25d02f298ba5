"""A round with aiomqtt."""
import asyncio, socket, ssl
import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from round import *


def client():
    """A client of the kept session."""
    lasting = Properties(PacketTypes.CONNECT)
    lasting.SessionExpiryInterval = 300
    kept = {"clean_start": False, "properties": lasting} if five else {"clean_session": False}
    through = None
    if proxy:
        import socks
        through = aiomqtt.ProxySettings(proxy_type=socks.HTTP, proxy_addr="127.0.0.1", proxy_port=proxy)
    return aiomqtt.Client(
        "localhost", port, timeout=30, username=device, password=token, identifier=device,
        protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
        transport="websockets" if web else "tcp", websocket_path="/mqtt" if web else None,
        tls_context=ssl.create_default_context(cafile=ca) if tls else None,
        will=aiomqtt.Will(will, "gone", qos=1), proxy=through, **kept)


async def hear(one, wanted):
    async for message in one.messages:
        if heard(str(message.topic), message.payload, message.retain) == wanted:
            return


async def main():
    try:
        async with client() as one:
            await one.subscribe([(commands, 1), (will, 1)])
            await hear(one, "command")
            for topic, qos in events:
                await one.publish(topic, f"aiomqtt {qos}", qos=qos)
            await one.publish(state, "kept", qos=1, retain=True)
            await one.subscribe(state, qos=1)
            await hear(one, "state")
            # The connection is gone without a word.
            below = one._client.socket()
            socket.socket.shutdown(getattr(below, "_socket", below), socket.SHUT_RDWR)
            await hear(one, "nothing")
    except aiomqtt.MqttError as error:
        print("lost", error, flush=True)
    async with client() as one:
        # It does not tell whether the session was there; what comes of the session does.
        await hear(one, "will")

asyncio.run(asyncio.wait_for(main(), 50))
