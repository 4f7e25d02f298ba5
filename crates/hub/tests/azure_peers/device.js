// A device of Azure's SDK for Node that does what it is told, line by line.
'use strict';

const fs = require('fs');
const readline = require('readline');
const { Readable } = require('stream');

const modules = process.argv[1];
const { Client, ModuleClient, Message } = require(`${modules}/azure-iot-device`);
const { Mqtt, MqttWs } = require(`${modules}/azure-iot-device-mqtt`);
const storage = () => require(`${modules}/@azure/storage-blob`);

const say = (kind, what) => console.log(JSON.stringify([kind, what === undefined ? null : what]));
let client;
let twin;

const orders = {
  async connect(how) {
    const transport = how.websockets ? MqttWs : Mqtt;
    const kind = how.module ? ModuleClient : Client;
    if (how.token) {
      client = kind.fromSharedAccessSignature(how.token, transport);
    } else {
      client = kind.fromConnectionString(how.string, transport);
    }
    // Whoever is put out is not to come back by itself.
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    const options = { ca: fs.readFileSync(how.authority, 'utf8') };
    if (how.certificate) {
      options.cert = fs.readFileSync(how.certificate, 'utf8');
      options.key = fs.readFileSync(how.key, 'utf8');
    }
    client.on('disconnect', () => say('connected', false));
    client.on('error', () => say('connected', false));
    await client.setOptions(options);
    await client.open();
    if (how.quiet) {
      return 'connected';
    }
    if (!how.module) {
      client.on('message', (message) => {
        const properties = {};
        for (let place = 0; place < message.properties.count(); place += 1) {
          const { key, value } = message.properties.getItem(place);
          properties[key] = value;
        }
        say('message', {
          data: message.getData().toString(),
          id: message.messageId,
          type: message.contentType,
          properties,
        });
        client.complete(message, () => {});
      });
    }
    const onMethod = (request, response) => {
      say('method', { name: request.methodName, payload: request.payload });
      response.send(201, { heard: request.payload }, () => {});
    };
    for (const method of ['greet', 'empty']) {
      if (how.module) client.onMethod(method, onMethod);
      else client.onDeviceMethod(method, onMethod);
    }
    twin = await client.getTwin();
    await new Promise((resolve) => {
      twin.on('properties.desired', (change) => {
        say('desired', change);
        resolve();
      });
    });
    return 'connected';
  },
  async send(what) {
    const message = new Message(what.data);
    message.messageId = 'm 1';
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    for (const [name, value] of Object.entries(what.properties)) {
      message.properties.add(name, value);
    }
    await client.sendEvent(message);
  },
  async twin() {
    const { properties } = await client.getTwin();
    const { desired, reported } = properties;
    const plain = (half) => JSON.parse(JSON.stringify({ ...half, update: undefined }));
    return { desired: plain(desired), reported: plain(reported) };
  },
  report: (patch) =>
    new Promise((resolve, reject) => {
      twin.properties.reported.update(patch, (error) => (error ? reject(error) : resolve()));
    }),
  async upload(what) {
    const stream = Readable.from([Buffer.alloc(what.bytes, 'o')]);
    await client.uploadToBlob(what.name, stream, what.bytes);
  },
  // Says that an upload failed, and gives what the storage says to who tries it after that.
  async fail(what) {
    const info = await client.getBlobSharedAccessSignature(what.name);
    await client.notifyBlobUploadStatus(info.correlationId, false, 500, 'no disk');
    const { hostName, containerName, blobName, sasToken } = info;
    const url = `https://${hostName}/${containerName}/${blobName}${sasToken}`;
    const { BlockBlobClient, AnonymousCredential } = storage();
    try {
      await new BlockBlobClient(url, new AnonymousCredential()).upload('late', 4);
      return null;
    } catch (error) {
      return error.statusCode;
    }
  },
  async close() {
    await client.close();
  },
};

say('ready');
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [name, what] = JSON.parse(line);
  Promise.resolve(orders[name](what)).then(
    (done) => say('done', done),
    (error) => say('done', { error: error.name, why: error.message }),
  );
});
lines.on('close', () => process.exit(0));
