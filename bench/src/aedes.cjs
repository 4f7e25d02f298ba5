// aedes behind Node's own TLS: node aedes.cjs MODULE PORT CERTIFICATE KEY
const fs = require('node:fs');
const tls = require('node:tls');
const [module_, port, certificate, key] = process.argv.slice(2);
const { Aedes } = require(module_);

Aedes.createBroker().then((broker) => {
  broker.authenticate = (client, user, password, done) =>
    done(null, user === 'bench' && String(password) === 'bench');
  tls
    .createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, broker.handle)
    .listen(Number(port), '127.0.0.1');
});
