// A round with npm mqtt, which connects again by itself.
'use strict';
const fs = require('fs');
const { createRequire } = require('module');

const packages = createRequire(process.env.OUTGATE_PEERS + '/node/package.json');
const mqtt = packages('mqtt');
const [carrier, version, port, proxy, ca, device, token] = process.argv.slice(2);
const five = version === '5';
const topics = Object.fromEntries(['commands/#', 'will', 'state'].map(name => [name, `devices/${device}/${name}`]));
const options = {
  clientId: device, username: device, password: token, clean: false, reconnectPeriod: 50,
  protocolVersion: five ? 5 : 4, ca: fs.readFileSync(ca),
  will: { topic: topics.will, payload: 'gone', qos: 1, retain: false },
};
if (five) options.properties = { sessionExpiryInterval: 300 };
if (proxy !== '0') {
  const { HttpsProxyAgent } = packages('https-proxy-agent');
  options.wsOptions = { agent: new HttpsProxyAgent(`http://127.0.0.1:${proxy}`, { ca: options.ca }) };
}
const scheme = { tcp: 'mqtt', tls: 'mqtts', wss: 'wss' }[carrier];
const client = mqtt.connect(`${scheme}://localhost:${port}${carrier === 'wss' ? '/mqtt' : ''}`, options);

const waiting = new Map();
const heard = new Set();
const hear = name => heard.delete(name) ? Promise.resolve() : new Promise(done => waiting.set(name, done));
const told = name => waiting.has(name) ? (waiting.get(name)(), waiting.delete(name)) : heard.add(name);
const connected = () => new Promise(done => client.once('connect', done));

client.on('message', (topic, payload, packet) => {
  if (topic.includes('/commands/')) {
    console.log('command', topic.split('/').slice(4).join('/'), payload.toString());
    told('command');
  } else if (topic === topics.state) {
    console.log('state', payload.toString(), packet.retain ? 'retained' : 'live');
    told('state');
  } else {
    console.log('will', payload.toString());
    told('will');
  }
});
client.on('error', error => { console.error(error); process.exit(1); });

async function main() {
  const first = await connected();
  if (first.sessionPresent) throw new Error('a session before the first');
  await client.subscribeAsync([topics['commands/#'], topics.will], { qos: 1 });
  await hear('command');
  for (const qos of [0, 1, 2])
    await client.publishAsync(`devices/${device}/events/round/${qos}`, `mqtt ${qos}`, { qos });
  await client.publishAsync(topics.state, 'kept', { qos: 1, retain: true });
  await client.subscribeAsync(topics.state, { qos: 1 });
  await hear('state');
  // The connection is gone without a word.
  const again = connected();
  client.stream.destroy();
  if (!(await again).sessionPresent) throw new Error('the session is gone');
  await hear('will');
  await client.endAsync();
}
main().catch(error => { console.error(error); process.exit(1); });
setTimeout(() => { console.error('too slow'); process.exit(1); }, 50000).unref();
