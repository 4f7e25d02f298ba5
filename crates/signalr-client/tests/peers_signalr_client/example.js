// Usage: node -e … MODULES URL
// Enters the kitchen of the chat as Ada, says hello, and says what she hears until somebody else
// says something.
const [modules, url] = process.argv.slice(1);
const signalR = require(require("path").join(modules, "@microsoft/signalr"));
const connection = new signalR.HubConnectionBuilder()
  .withUrl(url, { accessTokenFactory: () => "ada" })
  .configureLogging(signalR.LogLevel.None)
  .build();

async function main() {
  const lines = [];
  const answered = new Promise((done) =>
    connection.on("Said", (name, text) => {
      lines.push(`${name}: ${text}`);
      if (name !== "ada") done();
    }),
  );
  await connection.start();
  await connection.invoke("Enter", "kitchen");
  const hear = await connection.invoke("Say", "hello");
  await answered;
  await connection.stop();
  return [lines[0], `${hear} hear it`, ...lines.slice(1)];
}
main().then(
  (lines) => console.log(lines.join("\n")),
  (error) => {
    console.log("failed:", error.message);
    // A connection that was not stopped would keep it from ending.
    process.exit();
  },
);
