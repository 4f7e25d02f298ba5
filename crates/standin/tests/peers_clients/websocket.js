// Usage: node -e … MODULE URL AUTHORITY
const [modulePath, url, authority] = process.argv.slice(1);
const WebSocket = require(modulePath);
const here = { address: "127.0.0.1", family: 4 };
const client = new WebSocket(url, {
  ca: require("fs").readFileSync(authority),
  lookup: (_name, options, done) =>
    options.all ? done(null, [here]) : done(null, here.address, here.family),
});
const heard = [];
client.on("open", () => client.send("hello"));
client.on("message", (data, binary) => {
  heard.push(binary ? data.length : data.toString());
  if (heard.length === 1) client.send(Buffer.alloc(64 * 1024));
  else client.ping("now");
});
client.on("pong", (data) => {
  if (data.toString() === "now" && heard.join() === "hello,65536") heard.push("ponged");
  client.close(1000);
});
client.on("error", (error) => console.log("error", error.message));
client.on("close", (code) => {
  console.log(heard.includes("ponged") ? "heard, ponged, closed" : heard, code);
});
