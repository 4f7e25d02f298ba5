// Shows what happens as it happens. Works on text alone: nothing that a device or an operator has
// written can become an element.
"use strict";

const MOST = 50;

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function link(device) {
  const made = element("a", device);
  made.href = "/console/device/" + encodeURIComponent(device);
  return made;
}

function moment(at) {
  if (at === null) {
    return "never";
  }
  const made = element("time", at.slice(0, 19).replace("T", " ") + " UTC");
  made.dateTime = at;
  return made;
}

function word(word) {
  const made = element("span", word.text);
  made.className = word.class;
  return made;
}

function table(part) {
  return document.querySelector(`table[data-part="${part}"]`);
}

// Shows the table, or what is said when it has no rows.
function settle(table) {
  const none = table.tBodies[0].rows.length === 0;
  table.parentElement.hidden = none;
  table.parentElement.nextElementSibling.hidden = !none;
}

// What stands in the cells of a device, a session, a command and an event.
const DEVICE = {
  device: (one) => link(one.device),
  site: (one) => one.site,
  state: (one) => word(one.state),
  connection: (one) => word(one.connection),
  seen: (one) => moment(one.seen),
  policy: (one) => one.policy,
};

const SESSION = {
  since: (one) => moment(one.since),
  via: (one) => one.via,
  peer: (one) => one.peer,
  credential: (one) => one.credential,
};

const COMMAND = {
  sent: (one) => moment(one.sent),
  command: (one) => one.command,
  state: (one) => one.state,
  expires: (one) => moment(one.expires),
  payload: (one) => one.payload,
};

const EVENT = {
  received: (one) => moment(one.received),
  device: (one) => link(one.device),
  site: (one) => one.site,
  name: (one) => one.name,
  type: (one) => one.content_type,
  payload: (one) => one.payload,
};

// A row with a cell for each heading of the table.
function row(table, cells, one) {
  const made = document.createElement("tr");
  for (const heading of table.tHead.rows[0].cells) {
    const cell = made.insertCell();
    cell.dataset.cell = heading.dataset.cell;
    cell.dataset.label = heading.textContent;
    const content = cells[heading.dataset.cell](one);
    if (content !== "") {
      cell.append(content);
    }
  }
  return made;
}

// What has not changed stays, with whoever has the focus there.
function fill(place, one) {
  for (const cell of place.querySelectorAll("[data-cell]")) {
    const filled = cell.cloneNode(false);
    filled.append(DEVICE[cell.dataset.cell](one));
    if (!filled.isEqualNode(cell)) {
      cell.replaceChildren(...filled.childNodes);
    }
  }
}

// Shows these rows in place of those before.
function refill(part, cells, rows) {
  const filled = table(part);
  filled.tBodies[0].replaceChildren(...rows.map((one) => row(filled, cells, one)));
  settle(filled);
}

function nameOf(row) {
  return row.querySelector('[data-cell="device"]').textContent;
}

const shows = {
  said(event) {
    const events = table("events");
    const made = row(events, EVENT, event);
    made.className = "fresh";
    events.tBodies[0].prepend(made);
    while (events.tBodies[0].rows.length > MOST) {
      events.tBodies[0].deleteRow(-1);
    }
    settle(events);
  },

  devices(found) {
    const devices = table("devices");
    const body = devices.tBodies[0];
    const wanted = new Set(found.rows.map((one) => one.device));
    const there = new Map();
    for (const old of [...body.rows]) {
      if (wanted.has(nameOf(old))) {
        there.set(nameOf(old), old);
      } else {
        old.remove();
      }
    }
    found.rows.forEach((one, at) => {
      const old = there.get(one.device);
      const made = old ?? row(devices, DEVICE, one);
      if (old) {
        fill(old, one);
      }
      if (body.rows[at] !== made) {
        body.insertBefore(made, body.rows[at] ?? null);
      }
    });
    settle(devices);
    const more = document.getElementById("more");
    more.hidden = found.next === null;
    more.elements.after.value = found.next ?? "";
  },

  device(one) {
    fill(document.querySelector('[data-part="device"]'), one.row);
    refill("sessions", SESSION, one.sessions);
  },

  twin(halves) {
    for (const half of halves) {
      const place = document.querySelector(`[data-part="${half.part}"]`);
      place.querySelector('[data-cell="version"]').textContent = half.version;
      place.querySelector("pre").textContent = half.document;
    }
  },

  commands(rows) {
    refill("commands", COMMAND, rows);
  },
};

function follow(state) {
  const source = new EventSource(state.dataset.live);
  source.onopen = () => {
    state.textContent = "Live: this page follows what happens.";
  };
  for (const [name, show] of Object.entries(shows)) {
    source.addEventListener(name, (message) => show(JSON.parse(message.data)));
  }
  source.addEventListener("skipped", (message) => {
    state.textContent = message.data + " events were left out: they came too fast.";
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) {
      // Refused, as after a revocation: the page itself says why.
      location.reload();
    } else {
      state.textContent = "The connection broke; trying again.";
    }
  };
}

const state = document.getElementById("live");
if (state) {
  follow(state);
}
