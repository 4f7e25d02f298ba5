// Makes sdk.json: what the code of npm's `firebase` itself says of hashes and queries.
// node make.cjs FOLDER-WITH-NODE_MODULES > sdk.json
const fs = require('fs'), path = require('path'), Module = require('module');
const folder = path.join(path.resolve(process.argv[2]), 'node_modules/@firebase/database');
const file = path.join(folder, 'dist/index.node.cjs.js');
const inside = new Module(file, module);
inside.filename = file;
inside.paths = Module._nodeModulePaths(path.dirname(file));
const names = ['nodeFromJSON', 'QueryParams', 'KEY_INDEX', 'VALUE_INDEX', 'PRIORITY_INDEX', 'PathIndex', 'Path',
  'queryParamsStartAt', 'queryParamsStartAfter', 'queryParamsEndAt', 'queryParamsEndBefore',
  'queryParamsLimitToFirst', 'queryParamsLimitToLast', 'queryParamsOrderBy', 'queryParamsGetQueryObject',
  'queryParamsGetNodeFilter', 'ChildrenNode'];
inside._compile(fs.readFileSync(file, 'utf8') + `\nmodule.exports.inside = {${names}};`, file);
const sdk = inside.exports.inside;

const p = (value, priority) => ({ '.value': value, '.priority': priority });
const values = [
  null, true, false, 0, 1, -1, 0.1, -2.5, 1e21, 5e-324, 1.7976931348623157e308, 9007199254740993, 123456789,
  '', 'a', 'é€😀', 'line\nend "quoted"', p(1, 2), p('a', 'p'), p(true, -0.5), {}, { a: null }, { a: 1 },
  { a: 1, b: 'two', c: { d: true } }, ['x', null, 'z'], { 10: 'a', 9: 'b', '-1': 'c', '01': 'd', x: 'e' },
  { a: 1, '.priority': 5 }, { b: p(1, 2), a: p(1, 10), c: p(1, 'x'), d: 1, e: p(2, 2) },
  { '😀': 1, '\uffee': 2, z: 3 }, { deep: { deeper: { deepest: [1, { '.value': 2, '.priority': 'q' }] } } },
];
const hashes = values.map(value => ({ value, hash: sdk.nodeFromJSON(value).hash() }));

const children = {
  a: { n: 3, t: 'x' }, b: { n: 'x' }, c: { n: true }, d: { n: { deep: 1 } }, e: { n: -1 }, f: { n: 3 }, g: { m: 0 },
  h: { n: false }, 7: { n: 3.5 }, 10: 'leaf', i: p('leaf', 3), j: { n: 'X', '.priority': 1 }, k: { n: { other: 1 } },
  l: p(4, 'late'), m: { n: 'xy', '.priority': -2 }, n: true, o: 5,
};
const node = sdk.nodeFromJSON(children);
const indexes = [sdk.PRIORITY_INDEX, sdk.KEY_INDEX, sdk.VALUE_INDEX, new sdk.PathIndex(new sdk.Path('n')),
  new sdk.PathIndex(new sdk.Path('n/deep'))];
const queries = [];
for (const index of indexes) {
  const posts = index === sdk.KEY_INDEX ? ['10', 'c', 'zz']
    : index === sdk.PRIORITY_INDEX ? [null, 1, 3, 'late'] : [null, true, 3, 'x', 'leaf'];
  const start = [q => q], end = [q => q], limit = [q => q];
  for (const post of posts) {
    start.push(q => sdk.queryParamsStartAt(q, post), q => sdk.queryParamsStartAfter(q, post));
    end.push(q => sdk.queryParamsEndAt(q, post), q => sdk.queryParamsEndBefore(q, post));
    if (index !== sdk.KEY_INDEX) {
      start.push(q => sdk.queryParamsStartAt(q, post, 'c'), q => sdk.queryParamsStartAfter(q, post, 'c'));
      end.push(q => sdk.queryParamsEndAt(q, post, 'f'));
    }
  }
  limit.push(q => sdk.queryParamsLimitToFirst(q, 3), q => sdk.queryParamsLimitToLast(q, 2));
  for (const s of start) for (const e of end) for (const l of limit) {
    const query = l(e(s(sdk.queryParamsOrderBy(new sdk.QueryParams(), index))));
    const found = sdk.queryParamsGetNodeFilter(query)
      .updateFullNode(sdk.ChildrenNode.EMPTY_NODE.withIndex(index), node.withIndex(index), null);
    const keys = [];
    found.forEachChild(index, key => { keys.push(key); });
    queries.push({ query: sdk.queryParamsGetQueryObject(query), keys: keys.join(' ') });
  }
}
process.stdout.write(JSON.stringify({ hashes, children, queries: queries.filter((_, n) => n % 5 === 0) }).replace(/},{"(query|value)"/g, '},\n{"$1"') + '\n');
process.exit(0);
