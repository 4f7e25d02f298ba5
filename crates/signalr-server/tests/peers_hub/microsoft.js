// Usage: node -e … MODULES PART OPTIONS
const [modules, part, options] = process.argv.slice(1);
const path = require("path");
const signalR = require(path.join(modules, "@microsoft/signalr"));
const { MessagePackHubProtocol } = require(
  path.join(modules, "@microsoft/signalr-protocol-msgpack"),
);
const { url, transport, protocol, token } = JSON.parse(options);

function build(more = {}, change = (builder) => builder) {
  const options = { transport: signalR.HttpTransportType[transport], ...more };
  if (token) options.accessTokenFactory ??= () => token;
  let builder = new signalR.HubConnectionBuilder()
    .withUrl(`${url}?tenant=7`, options)
    .configureLogging(signalR.LogLevel.None);
  if (protocol === "messagepack") builder = builder.withHubProtocol(new MessagePackHubProtocol());
  return change(builder).build();
}

const message = (promise) => promise.then(() => "no error", (error) => error.message);
const plain = (text) => text.replace(/^Error: /, "").replace(/^An error occurred.*?: /, "");

function collect(stream, most = Infinity) {
  return new Promise((done) => {
    const items = [];
    const subscription = stream.subscribe({
      next: (item) => {
        items.push(item);
        if (items.length === most) {
          subscription.dispose();
          done({ items });
        }
      },
      complete: () => done({ items }),
      error: (error) => done({ items, error: error.message }),
    });
  });
}

const parts = {
  async calls() {
    const same = require("util").isDeepStrictEqual;
    const connection = build();
    await connection.start();
    const things = [
      "åäö \u{1F600}\n",
      { list: [1, -2.5, null, true], deep: { er: "x".repeat(20_000) } },
      null,
    ];
    if (protocol === "messagepack") things.push(new Date(1_700_000_000_123));
    const echoes = await Promise.all(things.map((thing) => connection.invoke("Echo", thing)));
    let echoed = same(echoes, things);
    if (protocol === "messagepack") {
      const bytes = await connection.invoke("Echo", new Uint8Array([0, 30, 255]));
      echoed &&= Buffer.from(bytes).equals(Buffer.from([0, 30, 255]));
    }
    const nothing = await connection.invoke("Nothing");
    const found = {
      echoed,
      sum: await connection.invoke("Add", 2, 3),
      nothing: nothing === undefined ? null : nothing,
      case: await connection.invoke("aDD", 1, 2),
      transport: (await connection.invoke("WhoAmI"))[2],
      refused: await message(connection.invoke("Refuse")),
      failed: await message(connection.invoke("Fail")),
      panicked: await message(connection.invoke("Panic")),
      unknown: await message(connection.invoke("Nope")),
      few: await message(connection.invoke("Add", 1)),
      streams: await message(connection.invoke("Counter", 1)),
      doesNotStream: (await collect(connection.stream("Add", 1, 2))).error,
    };
    await connection.stop();
    return { ...found, state: connection.state };
  },

  async streams() {
    const connection = build();
    await connection.start();
    const counted = await collect(connection.stream("Counter", 100));
    const broken = await collect(connection.stream("Broken"));
    const endless = await collect(connection.stream("Endless"), 3);
    const numbers = new signalR.Subject();
    const sum = connection.invoke("Sum", numbers);
    for (let number = 1; number <= 100; number += 1) numbers.next(number);
    numbers.complete();
    const some = new signalR.Subject();
    const doubled = collect(connection.stream("Double", some));
    for (const number of [1, 2, 3]) some.next(number);
    some.complete();
    const found = {
      counted: counted.items,
      broken,
      endless: endless.items,
      sum: await sum,
      doubled: (await doubled).items,
      after: await connection.invoke("Add", 1, 2),
    };
    await connection.stop();
    return found;
  },

  async answers() {
    const connection = build();
    connection.on("GetMessage", (question) => {
      if (question === "fail?") throw new Error("no");
      return `yes, ${question}`;
    });
    await connection.start();
    const answered = await connection.invoke("AskMe", "ready?");
    const failed = await message(connection.invoke("AskMe", "fail?"));
    connection.off("GetMessage");
    const nobody = await message(connection.invoke("AskMe", "ready?"));
    await connection.stop();
    return { answered, failed, nobody };
  },

  // Bytes are Uint8Array in MessagePack and base 64 in JSON; times are Date, and text.
  async native() {
    const binary = protocol === "messagepack";
    const bytes = (...all) => (binary ? Uint8Array.from(all) : Buffer.from(all).toString("base64"));
    const time = (text) => (binary ? new Date(text) : text);
    const told = (value) =>
      value instanceof Uint8Array
        ? `bytes ${Buffer.from(value).toString("hex")}`
        : value instanceof Date
          ? `time ${value.toISOString()}`
          : `text ${value}`;
    const photo = ({ taken, pixels }) => `${told(taken)}, ${told(pixels)}`;
    const connection = build();
    connection.on("GetPhoto", (taken) => ({ taken, pixels: bytes(7, 8, 9) }));
    const seen = new Promise((done) =>
      connection.on("Seen", (pixels, taken) => done(photo({ taken, pixels }))),
    );
    await connection.start();
    const photos = new signalR.Subject();
    const streamed = collect(connection.stream("Photos", photos));
    // MessagePack has three forms for times.
    const times = ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.123Z", "1960-01-01T00:00:00.5Z"];
    for (const text of times) photos.next({ taken: time(text), pixels: bytes(0, 255) });
    photos.complete();
    const turned = await connection.invoke("Turn", bytes(0, 30, 255), time("2024-02-28T12:00:00Z"));
    const found = {
      turned: turned.map(told),
      streamed: (await streamed).items.map(photo),
      asked: photo(await connection.invoke("AskForPhoto", time("2024-02-28T12:00:00Z"))),
      seen: await seen,
    };
    await connection.stop();
    return found;
  },

  async groups() {
    const heard = { ada: [], bob: [] };
    const ended = [];
    const connections = {};
    for (const user of ["ada", "bob"]) {
      const connection = build({ accessTokenFactory: () => `user-${user}` });
      ended.push(
        new Promise((done) => {
          connection.on("Received", (who, text) => {
            heard[user].push(`${who} ${text}`);
            if (who === "end") done();
          });
        }),
      );
      await connection.start();
      connections[user] = connection;
    }
    const { ada, bob } = connections;
    await ada.invoke("Send", "all", "hello");
    await ada.invoke("SendToOthers", "from ada");
    for (const group of ["one", "two", "two"]) await ada.invoke("Join", group);
    await bob.invoke("Join", "two");
    const toGroups = await bob.invoke("SendToGroups", ["one", "two", "none"], "both");
    await bob.invoke("Leave", "two");
    await ada.invoke("Leave", "one");
    const toUser = await bob.invoke("SendToUser", "ada", "for ada");
    const toLeft = (await bob.invoke("SendToGroups", ["one"], "nobody")) + 1;
    await bob.invoke("Send", "end", "end");
    await Promise.all(ended);
    await ada.stop();
    await bob.stop();
    return { ...heard, toUser, toGroups, toLeft };
  },

  async large() {
    const connection = build();
    await connection.start();
    const text = "å".repeat(15_000);
    const found = {
      up: (await connection.invoke("Echo", text)) === text,
      down: (await connection.invoke("Long", 1_000_000)).length,
    };
    await connection.stop();
    return found;
  },

  // Nothing but pings for longer than the way bears silence.
  async quiet() {
    const connection = build();
    await connection.start();
    const before = (await connection.invoke("WhoAmI"))[0];
    await new Promise((done) => setTimeout(done, 15_000));
    const after = (await connection.invoke("WhoAmI"))[0];
    await connection.stop();
    return { same: before === after };
  },

  async hurries() {
    const connection = build({}, (builder) => builder.withStatefulReconnect());
    await connection.start();
    const buffer = connection._messageBuffer;
    const ack = buffer._ack.bind(buffer);
    let [last, widest] = [0, 0];
    buffer._ack = (message) => {
      widest = Math.max(widest, message.sequenceId - last);
      last = message.sequenceId;
      ack(message);
    };
    const text = "x".repeat(10_000);
    for (let number = 0; number < 100; number += 1) await connection.send("Echo", text);
    await connection.invoke("Nothing");
    await connection.stop();
    return { widest, most: last >= 99 };
  },

  async refused() {
    return { error: await message(build().start()) };
  },

  async closes() {
    const connection = build();
    await connection.start();
    const closed = new Promise((done) => connection.onclose(done));
    connection.invoke("CloseMe", "enough", false).catch(() => {});
    const error = String(await closed);
    const returning = build({}, (builder) => builder.withAutomaticReconnect([0]));
    await returning.start();
    const before = returning.connectionId;
    const back = new Promise((done) => returning.onreconnected(done));
    returning.invoke("CloseMe", null, true).catch(() => {});
    await back;
    const found = {
      error,
      again: returning.state,
      another: returning.connectionId !== before,
    };
    await returning.stop();
    return found;
  },

  async vain() {
    const connection = build();
    const sum = connection.start().then(() => connection.invoke("Add", 2, 3));
    // Where a stream ends too early the client throws what nobody can catch.
    const thrown = new Promise((_, fail) => process.on("uncaughtException", fail));
    const error = await message(Promise.race([sum, thrown]));
    // What it has opened may stay open.
    setImmediate(() => process.exit());
    return { error };
  },

  async chat() {
    const [ada, bob] = ["ada", "bob"].map((name) => build({ accessTokenFactory: () => name }));
    const [heard, counts] = [[], []];
    const said = new Promise((done) =>
      bob.on("Said", (name, text) => done(heard.push(`${name}: ${text}`))),
    );
    bob.on("Here", (people) => counts.push(people));
    await ada.start();
    const early = await message(ada.invoke("Say", "too early"));
    await bob.start();
    await ada.invoke("Enter", "kitchen");
    await bob.invoke("Enter", "kitchen");
    const hear = await ada.invoke("Say", "hello");
    await said;
    await ada.stop();
    await bob.stop();
    return { early, heard, hear, here: counts[0] };
  },

  async streaming() {
    const connection = build();
    connection.on("Read", (where) => ({ degrees: where === "inside" ? 19.5 : 0 }));
    const asked = new Promise((done) => connection.on("Asked", done));
    await connection.start();
    const readings = () => {
      const subject = new signalR.Subject();
      setImmediate(() => {
        for (const degrees of [20, 22]) subject.next({ degrees });
        subject.complete();
      });
      return subject;
    };
    const found = {
      counted: (await collect(connection.stream("Count", 3, 1))).items,
      tooLong: (await collect(connection.stream("Count", 2_000, 1))).error,
      stored: await connection.invoke("Store", readings()),
      averages: (await collect(connection.stream("Average", readings()))).items,
      measured: await connection.invoke("Measure"),
      asked: await asked,
    };
    await connection.stop();
    return found;
  },

  async skips() {
    const connection = build({ skipNegotiation: true });
    await connection.start();
    const sum = await connection.invoke("Add", 2, 3);
    await connection.stop();
    return { sum };
  },

  async chosen() {
    const all = signalR.HttpTransportType;
    const any = all.WebSockets | all.ServerSentEvents | all.LongPolling;
    const connection = build({ transport: any });
    const heard = new Promise((done) => connection.on("Received", (_, text) => done(text)));
    await connection.start();
    const transport = (await connection.invoke("WhoAmI"))[2];
    await connection.send("Send", "me", "hello");
    const counted = await collect(connection.stream("Counter", 100));
    const found = { transport, heard: await heard, counted: counted.items.length };
    await connection.stop();
    return found;
  },

  async stateful() {
    const { cutter } = JSON.parse(options);
    const [host, port] = cutter.split(":");
    const cut = () =>
      new Promise((done) => {
        const socket = require("net").connect(Number(port), host, () => socket.end(done));
        socket.on("error", done);
      });
    const connection = build({}, (builder) => builder.withStatefulReconnect());
    const heard = [];
    const trouble = [];
    let sockets = 0;
    let back = () => {};
    connection.onclose((error) => {
      trouble.push(`closed: ${error}`);
      back();
    });
    connection.on("Received", (_who, text) => heard.push(Number(text)));
    await connection.start();
    const before = connection.connectionId;
    const whole = connection.connection;
    const connect = whole.transport.connect.bind(whole.transport);
    whole.transport.connect = async (...all) => {
      await connect(...all);
      sockets += 1;
      back();
    };
    const counted = collect(connection.stream("Counter", 5000));
    const sums = [];
    for (let number = 0; number < 200; number += 1) {
      sums.push(connection.invoke("Add", number, 0));
      await connection.send("Send", "me", String(number));
      if (number % 40 === 20) {
        const again = new Promise((done) => (back = done));
        await cut();
        await again;
      }
    }
    const found = {
      sums: (await Promise.all(sums)).every((sum, number) => sum === number),
      counted: (await counted).items.every((item, number) => item === number),
      same: connection.connectionId === before,
      heard: heard.length === 200 && heard.every((item, number) => item === number),
      sockets: sockets === 5,
      trouble: trouble.slice(),
    };
    await connection.stop();
    return found;
  },

  async whoami() {
    const connection = build();
    await connection.start();
    const user = (await connection.invoke("WhoAmI"))[1];
    await connection.stop();
    return { user };
  },
};

async function all() {
  const found = {};
  for (const name of part.split(",")) found[name] = await parts[name]();
  return part.includes(",") ? found : found[part];
}

all().then(
  (found) => console.log(JSON.stringify(found)),
  (error) => {
    console.log("failed:", error.stack);
    // A connection that was not stopped would keep it from ending, and its words from the test.
    process.exit();
  },
);
