// The functions of proxy scripts, as Netscape described them in 1996 and Microsoft extended them
// for IPv6. What differs between browsers is as in Firefox.
"use strict";
(function (resolve, own) {
  delete globalThis.__resolve;
  delete globalThis.__own;

  const list = (text) => text.split(";").filter((one) => one !== "");
  const isV4 = (text) => /^\d{1,3}(\.\d{1,3}){3}$/.test(text);
  const firstV4 = (text) => list(text).find(isV4) ?? null;
  const bits4 = (text) => {
    const parts = isV4(text) ? text.split(".").map(Number) : [];
    return parts.length === 4 && parts.every((part) => part < 256)
      ? parts.reduce((sum, part) => sum * 256 + part, 0)
      : null;
  };
  // All 128 bits of an IPv6 address.
  const bits6 = (text) => {
    let plain = String(text);
    const tail = plain.slice(plain.lastIndexOf(":") + 1);
    if (isV4(tail)) {
      const value = bits4(tail);
      if (value === null) return null;
      plain = plain.slice(0, -tail.length) + (value >>> 16).toString(16) + ":" + (value & 65535).toString(16);
    }
    const halves = plain.split("::");
    const words = (half) => (half === "" ? [] : half.split(":"));
    if (halves.length > 2 || !plain.includes(":")) return null;
    const [head, rest] = [words(halves[0]), words(halves[1] ?? "")];
    const gap = 8 - head.length - rest.length;
    if (halves.length === 2 ? gap < 1 : gap !== 0) return null;
    const all = [...head, ...Array(gap).fill("0"), ...rest];
    if (!all.every((word) => /^[0-9a-f]{1,4}$/i.test(word))) return null;
    return all.reduce((sum, word) => sum * 65536n + BigInt("0x" + word), 0n);
  };
  const range = (first, last, now) => (first <= last ? first <= now && now <= last : first <= now || now <= last);
  const split = (values) => {
    const all = [...values];
    const gmt = all[all.length - 1] === "GMT";
    if (gmt) all.pop();
    return [all, gmt];
  };
  const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
  const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

  const functions = {
    isPlainHostName: (host) => !String(host).includes("."),
    dnsDomainIs: (host, domain) => String(host).endsWith(String(domain)),
    localHostOrDomainIs: (host, full) => host === full || String(full).startsWith(host + "."),
    dnsDomainLevels: (host) => String(host).split(".").length - 1,
    isResolvable: (host) => firstV4(resolve(String(host))) !== null,
    isResolvableEx: (host) => resolve(String(host)) !== "",
    dnsResolve: (host) => firstV4(resolve(String(host))),
    dnsResolveEx: (host) => resolve(String(host)),
    myIpAddress: () => firstV4(own()) ?? "127.0.0.1",
    myIpAddressEx: () => own(),
    convert_addr: (address) => bits4(String(address)) | 0,
    isInNet: (host, network, mask) => {
      const text = isV4(String(host)) ? String(host) : firstV4(resolve(String(host)));
      const values = [text, network, mask].map((one) => (one === null ? null : bits4(String(one))));
      return !values.includes(null) && ((values[0] ^ values[1]) & values[2]) === 0;
    },
    isInNetEx: (host, prefix) => {
      const [network, length] = String(prefix).split("/");
      const six = network.includes(":");
      const [bits, width] = six ? [bits6, 128] : [bits4, 32];
      const base = bits(network);
      const count = Number(length);
      if (base === null || !(count >= 0 && count <= width)) return false;
      const shift = BigInt(width - count);
      return list(resolve(String(host))).some((address) => {
        const value = address.includes(":") === six ? bits(address) : null;
        return value !== null && BigInt(value) >> shift === BigInt(base) >> shift;
      });
    },
    sortIpAddressList: (text) => {
      const keyed = list(String(text)).map((one) => one.trim()).map((one) => [one, bits6(one) ?? bits4(one)]);
      if (keyed.length === 0 || keyed.some(([, value]) => value === null)) return "";
      const six = ([one]) => (one.includes(":") ? 0 : 1);
      keyed.sort((a, b) => six(a) - six(b) || (BigInt(a[1]) < BigInt(b[1]) ? -1 : 1));
      return keyed.map(([one]) => one).join(";");
    },
    shExpMatch: (text, pattern) => {
      const expression = String(pattern).replace(/\./g, "\\.").replace(/\*/g, ".*").replace(/\?/g, ".");
      return new RegExp("^" + expression + "$").test(String(text));
    },
    weekdayRange: (...values) => {
      const [[first, last], gmt] = split(values);
      const now = gmt ? new Date().getUTCDay() : new Date().getDay();
      const [from, to] = [DAYS.indexOf(first), DAYS.indexOf(last ?? first)];
      return from >= 0 && to >= 0 && range(from, to, now);
    },
    dateRange: (...values) => {
      const [all, gmt] = split(values);
      const now = new Date();
      const parts = gmt
        ? [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()]
        : [now.getFullYear(), now.getMonth(), now.getDate()];
      // Which part a value is: a month by its name, a day up to 31, else a year.
      const place = (value) => (MONTHS.includes(value) ? 1 : value > 31 ? 0 : 2);
      const number = (value) => (MONTHS.includes(value) ? MONTHS.indexOf(value) : Number(value));
      const half = all.length === 1 ? 1 : all.length / 2;
      if (!Number.isInteger(half) || half < 1 || half > 3) return false;
      const first = all.slice(0, half);
      const last = all.length === 1 ? first : all.slice(half);
      const places = first.map(place);
      if (last.some((value, at) => place(value) !== places[at])) return false;
      const key = (pick) => [0, 1, 2].filter((at) => places.includes(at)).reduce((sum, at) => sum * 10000 + pick(at), 0);
      const of = (side) => key((at) => number(side[places.indexOf(at)]));
      return range(of(first), of(last), key((at) => parts[at]));
    },
    timeRange: (...values) => {
      const [all, gmt] = split(values);
      const now = new Date();
      const [h, m, s] = gmt
        ? [now.getUTCHours(), now.getUTCMinutes(), now.getUTCSeconds()]
        : [now.getHours(), now.getMinutes(), now.getSeconds()];
      const seconds = (hour, minute, second) => hour * 3600 + minute * 60 + second;
      const at = seconds(h, m, s);
      const [a, b, c, d, e, f] = all.map(Number);
      switch (all.length) {
        case 1:
          return h === a;
        case 2:
          // Both hours are meant whole, as browsers read it.
          return range(a, b, h);
        case 4:
          return range(seconds(a, b, 0), seconds(c, d, 59), at);
        case 6:
          return range(seconds(a, b, c), seconds(d, e, f), at);
        default:
          return false;
      }
    },
    alert: () => undefined,
  };
  Object.assign(globalThis, functions);
})(globalThis.__resolve, globalThis.__own);
