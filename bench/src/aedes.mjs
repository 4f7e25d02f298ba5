// aedes behind Node's own TLS: node aedes.mjs NODE_MODULES PORT CERTIFICATE KEY
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import tls from 'node:tls';
import { pathToFileURL } from 'node:url';

const [modules, port, certificate, key] = process.argv.slice(2);
// This script lies elsewhere than the modules: they are found from where those are.
const found = createRequire(path.join(modules, 'here.js')).resolve('aedes');
const { Aedes } = await import(pathToFileURL(found));

const broker = await Aedes.createBroker();
broker.authenticate = (client, user, password, done) =>
  done(null, user === 'bench' && String(password) === 'bench');
tls
  .createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, broker.handle)
  .listen(Number(port), '127.0.0.1');
