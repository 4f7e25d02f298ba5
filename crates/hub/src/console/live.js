// Adds events to the table as they come. Works on text alone: nothing that an event says can
// become an element.
"use strict";

const MOST = 50;

function cell(text) {
  const cell = document.createElement("td");
  cell.textContent = text;
  return cell;
}

function link(device) {
  const cell = document.createElement("td");
  const link = document.createElement("a");
  link.href = "/console/device/" + encodeURIComponent(device);
  link.textContent = device;
  cell.append(link);
  return cell;
}

function row(event, ofOne) {
  const row = document.createElement("tr");
  row.className = "fresh";
  row.append(cell(event.received));
  if (!ofOne) {
    row.append(link(event.device), cell(event.site));
  }
  const payload = cell(event.payload);
  payload.className = "payload";
  row.append(cell(event.name), cell(event.content_type), payload);
  return row;
}

function follow(table) {
  const body = table.tBodies[0];
  const state = document.getElementById("live");
  const ofOne = table.dataset.device !== undefined;
  const source = new EventSource(table.dataset.live);
  source.onopen = () => {
    state.textContent = "Live: new events appear by themselves.";
  };
  source.onmessage = (message) => {
    body.prepend(row(JSON.parse(message.data), ofOne));
    while (body.rows.length > MOST) {
      body.deleteRow(-1);
    }
  };
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

for (const table of document.querySelectorAll("table[data-live]")) {
  follow(table);
}
