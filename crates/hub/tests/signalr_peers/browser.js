// A page with Microsoft's client, whose connection a test opens and uses by what is here.
"use strict";
const talk = async (url, token, transport, protocol, options) => {
  let builder = new signalR.HubConnectionBuilder()
    .withUrl(url, {
      transport: signalR.HttpTransportType[transport],
      ...(token && { accessTokenFactory: () => token }),
      ...options,
    })
    .configureLogging(signalR.LogLevel.None);
  if (protocol === "messagepack")
    builder = builder.withHubProtocol(new signalR.protocols.msgpack.MessagePackHubProtocol());
  const connection = builder.build();
  const desired = new Promise((done) =>
    connection.on("Desired", (version, document) => done(document)),
  );
  const printed = new Promise((done) =>
    connection.on("print", (what) => {
      done(what);
      return true;
    }),
  );
  try {
    await connection.start();
  } catch (error) {
    return { refused: String(error) };
  }
  const sold = await connection.invoke("sale/closed", { cents: 250 }, "åäö");
  const twin = await connection.invoke("twin");
  const found = {
    sold,
    twin: twin.desired.document,
    desired: await desired,
    printed: await printed,
  };
  await connection.stop();
  return found;
};
