"""A round with aiomqtt."""
import asyncio, ssl, sys
import aiomqtt

carrier, version, port, ca, device, token = sys.argv[1:7]

async def main():
    client = aiomqtt.Client(
        "localhost", int(port), username=device, password=token, identifier=device,
        protocol=aiomqtt.ProtocolVersion.V5 if version == "5" else aiomqtt.ProtocolVersion.V311,
        transport="websockets" if carrier == "wss" else "tcp",
        websocket_path="/mqtt" if carrier == "wss" else None,
        tls_context=None if carrier == "tcp" else ssl.create_default_context(cafile=ca),
    )
    async with client:
        await client.subscribe(f"devices/{device}/commands/#", qos=1)
        for qos in (0, 1, 2):
            await client.publish(f"devices/{device}/events/round/{qos}", f"aiomqtt {qos}", qos=qos)
        async for message in client.messages:
            print("command", str(message.topic).split("/", 4)[4], message.payload.decode())
            break

asyncio.run(asyncio.wait_for(main(), 30))
