// npm `firebase` as it comes, against a hub over TLS. What only a hub or an operator can do it asks
// for on its standard output, a line each, and goes on when it is told so.
'use strict';
const { createRequire } = require('module');
const readline = require('readline');

const packages = createRequire(process.env.OUTGATE_PEERS + '/node/package.json');
const { initializeApp } = packages('firebase/app');
const { initializeAppCheck, CustomProvider } = packages('firebase/app-check');
const f = packages('firebase/database');
const [port, one, two] = process.argv.slice(2);

function database(name, token) {
  const app = initializeApp({ projectId: 'p', appId: '1:1:web:1', apiKey: 'k' }, name);
  const getToken = async () => ({ token, expireTimeMillis: Date.now() + 3600e3 });
  initializeAppCheck(app, { provider: new CustomProvider({ getToken }), isTokenAutoRefreshEnabled: false });
  return f.getDatabase(app, `https://localhost:${port}?ns=pos`);
}

const told = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function please(what) {
  console.log(what);
  await told.next();
}

function equal(is, should, what) {
  const text = value => JSON.stringify(value, (_, it) =>
    it && typeof it === 'object' && !Array.isArray(it) ? Object.fromEntries(Object.entries(it).sort()) : it);
  if (text(is) !== text(should)) throw new Error(`${what}: ${text(is)} and not ${text(should)}`);
}

// What is listened to, until `enough` of it.
function comes(query, enough) {
  return new Promise((resolve, reject) => f.onValue(query, shot => {
    if (enough(shot.val(), shot)) resolve(shot.val());
  }, reject));
}

const refused = promise => promise.then(() => { throw new Error('it is allowed'); }, error => String(error));
const [a, b] = [database('one', one), database('two', two)];
const at = (db, path) => f.ref(db, `sites/s/${path}`);
const keys = shot => { const all = []; shot.forEach(child => { all.push(child.key); }); return all.join(' '); };

const steps = {
  async values() {
    await f.set(at(a, 'till'), { name: 'one', open: true, list: ['x', 'y'], 'é😀': 'ü' });
    await f.update(at(a, 'till'), { open: false, 'deep/er': 1, list: null });
    equal((await f.get(at(b, 'till'))).val(), { name: 'one', open: false, deep: { er: 1 }, 'é😀': 'ü' }, 'got');
    const added = [];
    f.onChildAdded(at(b, 'log'), shot => added.push(shot.val()));
    await f.push(at(a, 'log'), 'first');
    await f.push(at(a, 'log'), 'second');
    await comes(at(b, 'log'), all => all && Object.keys(all).length === 2);
    equal(added, ['first', 'second'], 'added');
    await f.set(at(a, 'when'), f.serverTimestamp());
    const when = (await f.get(at(b, 'when'))).val();
    equal(Math.abs(when - Date.now()) < 60e3, true, 'the time');
    await f.set(at(a, 'count'), 40);
    await Promise.all([f.set(at(a, 'count'), f.increment(3)), f.update(at(b, ''), { count: f.increment(-1) })]);
    equal((await f.get(at(a, 'count'))).val(), 42, 'counted');
    await f.setWithPriority(at(a, 'ranked/x'), 1, 20);
    await f.setWithPriority(at(a, 'ranked/y'), 2, 10);
    await f.setPriority(at(b, 'ranked/x'), 5);
    equal(keys(await f.get(at(b, 'ranked'))), 'x y', 'ranked');
    await f.remove(at(a, 'till'));
    equal((await f.get(at(b, 'till'))).exists(), false, 'removed');
  },

  async transactions() {
    const add = db => f.runTransaction(at(db, 'shared'), value => (value || 0) + 1);
    const all = Array.from({ length: 20 }, (_, n) => add(n % 2 ? a : b));
    equal((await Promise.all(all)).every(done => done.committed), true, 'committed');
    equal((await f.get(at(a, 'shared'))).val(), 20, 'sum');
    const stop = await f.runTransaction(at(a, 'shared'), () => undefined);
    equal(stop.committed, false, 'given up');
  },

  async large() {
    const text = 'aé€ü'.repeat(50_000);
    await f.set(at(a, 'large'), { text });
    equal((await comes(at(b, 'large'), Boolean)).text === text, true, 'large');
    await f.remove(at(a, 'large'));
  },

  async queries() {
    const all = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`k${n}`, { n, even: n % 2 === 0 }]));
    await f.set(at(a, 'all'), all);
    const by = (...parts) => f.query(at(b, 'all'), ...parts);
    equal(keys(await f.get(by(f.orderByChild('n'), f.limitToLast(3)))), 'k27 k28 k29', 'last');
    equal(keys(await f.get(by(f.orderByChild('n'), f.startAfter(4), f.endBefore(7)))), 'k5 k6', 'range');
    equal(keys(await f.get(by(f.orderByChild('even'), f.equalTo(true), f.limitToFirst(2)))), 'k0 k10', 'equal');
    equal(keys(await f.get(by(f.orderByKey(), f.startAt('k8')))), 'k8 k9', 'keys');
    const seen = [];
    const top = by(f.orderByChild('n'), f.limitToLast(2));
    f.onChildAdded(top, shot => seen.push('+' + shot.key));
    f.onChildRemoved(top, shot => seen.push('-' + shot.key));
    f.onChildChanged(top, shot => seen.push('=' + shot.key));
    await comes(top, value => value && value.k29);
    await f.set(at(a, 'all/k99'), { n: 99 });
    await f.update(at(a, 'all/k99'), { note: 'x' });
    await f.set(at(a, 'all/k1/n'), 0.5);
    await f.remove(at(a, 'all/k29'));
    await comes(top, value => value && value.k28 && value.k99 && !value.k29);
    equal(seen, ['+k28', '+k29', '-k28', '+k99', '=k99', '-k29', '+k28'], 'window');
  },

  async leaving() {
    await f.set(at(b, 'presence'), { two: 'here', kept: 'here' });
    await f.onDisconnect(at(b, 'presence/two')).set({ left: f.serverTimestamp() });
    await f.onDisconnect(at(b, 'presence/kept')).remove();
    await f.onDisconnect(at(b, 'presence/kept')).cancel();
    f.goOffline(b);
    const left = await comes(at(a, 'presence'), value => value && value.two && value.two.left);
    equal(left.kept, 'here', 'cancelled');
    f.goOnline(b);
    await comes(f.ref(b, '.info/connected'), Boolean);
  },

  async denied() {
    const elsewhere = f.ref(a, 'sites/other');
    equal(/permission_denied/i.test(await refused(f.set(elsewhere, 1))), true, 'set');
    equal(/permission/i.test(await refused(f.get(elsewhere))), true, 'get');
    equal(/permission_denied/i.test(await refused(comes(elsewhere, () => true))), true, 'listen');
    equal(/permission_denied/i.test(await refused(f.onDisconnect(elsewhere).set(1))), true, 'onDisconnect');
    equal(/permission_denied/i.test(await refused(f.update(f.ref(a), { 'sites/s/x': 1, 'sites/other/x': 1 }))), true, 'update');
    equal((await f.get(at(a, 'x'))).exists(), false, 'half an update');
  },

  async killed() {
    await f.set(at(a, 'before'), 'kept');
    const values = [];
    f.onValue(at(b, 'after'), shot => values.push(shot.val()));
    await comes(at(b, 'after'), () => true);
    await please('kill');
    const written = f.set(at(a, 'after'), 'written meanwhile');
    await please('start');
    await written;
    await comes(at(b, 'after'), value => value === 'written meanwhile');
    equal(values, [null, 'written meanwhile'], 'heard');
    equal((await f.get(at(b, 'before'))).val(), 'kept', 'kept');
    equal((await f.get(at(b, 'shared'))).val(), 20, 'the sum');
  },

  async revoked() {
    await f.onDisconnect(at(b, 'words')).set('of somebody revoked');
    let last;
    const over = new Promise(resolve => f.onValue(at(b, 'news'), shot => { last = shot.val(); }, resolve));
    await f.set(at(a, 'news'), 'before');
    await comes(at(b, 'news'), value => value === 'before');
    const gone = comes(f.ref(b, '.info/connected'), value => value === false);
    await please('revoke');
    await gone;
    await f.set(at(a, 'news'), 'after');
    equal(/permission_denied/i.test(String(await over)), true, 'listen');
    equal(last, 'before', 'heard');
    equal(/permission_denied/i.test(await refused(f.set(at(b, 'news'), 'mine'))), true, 'set');
    equal((await f.get(at(a, 'words'))).exists(), false, 'last words');
  },
};

(async () => {
  for (const [name, step] of Object.entries(steps)) {
    await step();
    console.log(`did ${name}`);
  }
  console.log('end');
  process.exit(0);
})().catch(error => {
  console.error(error);
  process.exit(1);
});
