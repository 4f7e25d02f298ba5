// The servers in Node: node realtime.mjs NODE_MODULES ws|socket.io PORT [CERTIFICATE KEY]
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, library, port, certificate, key] = process.argv.slice(2);
// This script lies elsewhere than the modules: they are found from where those are.
const require = createRequire(path.join(modules, 'here.js'));

const server = certificate
  ? https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) })
  : http.createServer();

if (library === 'ws') {
  const { WebSocketServer } = require('ws');
  const all = new WebSocketServer({ server });
  all.on('connection', (one) => {
    one.on('error', () => {});
    one.on('message', (data) => {
      const text = data.toString();
      if (!text.startsWith('news ')) {
        one.send(text);
        return;
      }
      for (const other of all.clients) {
        other.send(text);
      }
    });
  });
} else {
  const { Server } = require('socket.io');
  const io = new Server(server, { transports: ['websocket'], serveClient: false });
  io.on('connection', (socket) => {
    socket.on('echo', (text, acknowledge) => acknowledge(text));
    socket.on('broadcast', (text) => io.emit('news', text));
  });
}

server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
