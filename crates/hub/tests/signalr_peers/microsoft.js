// Usage: node -e … MODULES
// Reads an order a line, [what, ...how], and writes what happens, [kind, what].
const path = require("path");
const modules = process.argv[1];
const signalR = require(path.join(modules, "@microsoft/signalr"));
const { MessagePackHubProtocol } = require(
  path.join(modules, "@microsoft/signalr-protocol-msgpack"),
);

let connection;
const say = (kind, what) => console.log(JSON.stringify([kind, what === undefined ? null : what]));

const orders = {
  async start(url, token, transport, protocol) {
    let builder = new signalR.HubConnectionBuilder()
      .withUrl(url, {
        transport: transport ? signalR.HttpTransportType[transport] : undefined,
        accessTokenFactory: () => token,
      })
      .configureLogging(signalR.LogLevel.None);
    if (protocol === "messagepack") builder = builder.withHubProtocol(new MessagePackHubProtocol());
    connection = builder.withAutomaticReconnect([0]).build();
    connection.onreconnecting(() => say("reconnecting"));
    connection.onclose((error) => say("closed", error ? error.message : null));
    connection.on("Desired", (version, document) => say("desired", { version, document }));
    connection.on("price", (...args) => {
      say("asked", args);
      if (args[0] === "wrong") throw new Error("no such article");
      return { cents: 250 };
    });
    connection.on("silent", () => {
      say("asked", null);
      return new Promise(() => {});
    });
    for (const name of ["reboot", "print/receipt"]) {
      connection.on(name, (...args) => {
        say("command", [name, ...args]);
        if (args[0] === "refuse") throw new Error("not now");
        return true;
      });
    }
    connection.on("news", (...args) => say("news", args));
    await connection.start();
    return "started";
  },
  invoke: (...call) => connection.invoke(...call),
  send: (...call) => connection.send(...call),
  stop: () => connection.stop(),
  id: async () => connection.connectionId,
};

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const [what, ...how] = JSON.parse(line);
    try {
      say("done", await orders[what](...how));
    } catch (error) {
      say("done", { error: error.message });
    }
  })
  .on("close", () => process.exit());
