// Usage: node -e … MODULES PORT TRANSPORTS PROTOCOL
// TRANSPORTS is what may be chosen from, as `HttpTransportType` adds them up.
const [modules, port, transports, protocol] = process.argv.slice(1);
const path = require("path");
require("dns").lookup = (_name, options, done) =>
  options.all
    ? done(null, [{ address: "127.0.0.1", family: 4 }])
    : done(null, "127.0.0.1", 4);
const signalR = require(path.join(modules, "@microsoft/signalr"));
const { MessagePackHubProtocol } = require(
  path.join(modules, "@microsoft/signalr-protocol-msgpack"),
);

let chosen = "nothing";
const logger = {
  log: (_level, message) => {
    chosen = (/^Selecting transport '(\w+)'/.exec(message) || [null, chosen])[1];
  },
};
const builder = new signalR.HubConnectionBuilder()
  .withUrl(`https://a.example:${port}/any/hub?tenant=7`, { transport: Number(transports) })
  .configureLogging(logger);
if (protocol === "messagepack") builder.withHubProtocol(new MessagePackHubProtocol());
const connection = builder.build();

const same = require("util").isDeepStrictEqual;
const things = [
  "åäö \u{1F600}\n",
  { list: [1, -2.5, null, true], deep: { er: "x".repeat(20_000) } },
  null,
];
if (protocol === "messagepack") things.push(new Uint8Array([0, 30, 255]));

async function main() {
  await connection.start();
  const echoes = await Promise.all(things.map((thing) => connection.invoke("Echo", thing)));
  const all = echoes.every((echo, at) =>
    things[at] instanceof Uint8Array
      ? Buffer.from(echo).equals(Buffer.from(things[at]))
      : same(echo, things[at]),
  );
  const wrong = await connection.invoke("Nope").catch((error) => error.message);
  const known = wrong.includes("there is no method Nope");
  await connection.stop();
  console.log(chosen, all ? "echoed" : echoes, known ? "refused" : wrong, connection.state);
}
main().catch((error) => console.log(chosen, "failed:", error.message));
