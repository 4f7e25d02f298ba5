// Usage: node -e … MODULES URL TRANSPORTS
// Says what Microsoft's client says of the same calls: a line each.
const [modules, url, transports] = process.argv.slice(1);
const signalR = require(require("path").join(modules, "@microsoft/signalr"));
const connection = new signalR.HubConnectionBuilder()
  .withUrl(url, { transport: Number(transports), accessTokenFactory: () => "user-ada" })
  .configureLogging(signalR.LogLevel.None)
  .build();
connection.serverTimeoutInMilliseconds = 3000;

async function main() {
  const say = (error) => console.log(error.message);
  await connection.start();
  await connection.invoke("Refuse").catch(say);
  await connection.invoke("Nope").catch(say);
  await connection.invoke("Echo").catch(say);
  await connection.invoke("Count", 1).catch(say);
  await connection.invoke("AskMe", "why").catch(say);
  await new Promise((resolve) =>
    connection.stream("Broken").subscribe({
      next: () => {},
      complete: resolve,
      error: (error) => resolve(say(error)),
    }),
  );
  await connection.stop();
}
main().catch((error) => {
  console.log("failed:", error.message);
  // A connection that was not stopped would keep it from ending.
  process.exit();
});
