"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const tables = [...document.querySelectorAll("table.board")];

  // Foreign text enters the page as text nodes only.
  function make(tag, text, attributes) {
    const node = document.createElement(tag);
    if (text !== undefined && text !== null) node.textContent = text;
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    return node;
  }
  function draw(tag, attributes, text) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // ---- sorting: a click or Enter on a heading; empty cells always last, equal values in the given order
  function sortBy(table, heading, column) {
    const numeric = column > 0;
    const ascending = heading.getAttribute("aria-sort") === "descending" ||
      (heading.getAttribute("aria-sort") === null && !(numeric && table.dataset.descending === "1"));
    for (const other of table.querySelectorAll("thead th[aria-sort]")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [row, row.cells[column].dataset.v]);
    const sign = ascending ? 1 : -1;
    keyed.sort(([, a], [, b]) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b, "en"));
    });
    body.append(...keyed.map(([row]) => row));
  }
  for (const table of tables) {
    const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    headings.forEach((heading, column) => {
      const button = make("button", heading.textContent, { type: "button" });
      button.addEventListener("click", () => sortBy(table, heading, column));
      heading.replaceChildren(button);
    });
  }

  // ---- filter and switches
  function refresh() {
    const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const controls = byId("show-controls").checked;
    const shown = new Set();
    for (const row of document.querySelectorAll("table.board tbody tr")) {
      const match = words.every((word) => row.dataset.search.includes(word));
      row.classList.toggle("gone", !match);
      if (match && (controls || !row.classList.contains("control"))) shown.add(row.cells[0].dataset.v);
    }
    for (const name of ["intervals", "published", "controls"]) {
      document.body.classList.toggle(`no-${name}`, !byId(`show-${name}`).checked);
    }
    byId("count").textContent = words.length ? `${shown.size} model${shown.size === 1 ? "" : "s"}` : "";
  }
  byId("tools").hidden = false;
  byId("tools").addEventListener("input", refresh);
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  refresh();

  // ---- one record in the drawer
  function unpacked(place) {
    const record = { ...data.records[place] };
    for (const key of ["model", "features", "task", "environment", "code"]) record[key] = data.pool[record[key]];
    record.protocol = { ...record.protocol, recipe: data.pool[record.protocol.recipe] };
    return record;
  }
  const round = (value) => Number(value.toPrecision(6)).toString();
  function shown(value, definition) {
    return definition.unit === "fraction" ? (100 * value).toFixed(1) : Number(value.toPrecision(4)).toString();
  }
  function plain(value) {
    if (typeof value === "number") return Number.isInteger(value) ? String(value) : round(value);
    return typeof value === "string" ? value : JSON.stringify(value);
  }
  function list(title, entries) {
    const box = make("dl");
    for (const [key, value] of entries) {
      if (value === null || value === undefined || value === "") continue;
      if (typeof value === "object" && !Object.keys(value).length) continue;
      const cell = make("dd");
      if (typeof value === "string" && /^https?:\/\/[^\s]+$/i.test(value)) {
        cell.append(make("a", value, { href: value, rel: "noopener noreferrer" }));
      } else {
        cell.textContent = plain(value);
      }
      box.append(make("dt", key), cell);
    }
    return box.children.length ? [make("h3", title), box] : [];
  }
  // The curve's axis is the key that was selected; its height is the row's first other number.
  function curve(rows, selected) {
    const keys = Object.keys(rows[0] || {}).filter((key) => typeof rows[0][key] === "number");
    const across = keys.find((key) => key in selected) || keys[0];
    const up = keys.find((key) => key !== across && /top|acc|val|score/i.test(key)) || keys.find((key) => key !== across);
    const points = up ? rows.filter((row) => [row[across], row[up]].every(Number.isFinite)) : [];
    if (points.length < 2) return [];
    points.sort((a, b) => a[across] - b[across]);
    const xs = points.map((row) => row[across]), ys = points.map((row) => row[up]);
    const log = xs[0] > 0 && xs[xs.length - 1] / xs[0] > 50;
    const scale = (value, all, from, to, map) => {
      const low = map(Math.min(...all)), high = map(Math.max(...all));
      return high === low ? (from + to) / 2 : from + (to - from) * (map(value) - low) / (high - low);
    };
    const x = (value) => scale(value, xs, 56, 530, log ? Math.log10 : Number);
    const y = (value) => scale(value, ys, 128, 16, Number);
    const image = draw("svg", { viewBox: "0 0 560 164", role: "img" });
    image.append(draw("title", {}, `${up} by ${across}`));
    for (const value of [Math.min(...ys), Math.max(...ys)]) {
      image.append(draw("line", { class: "grid", x1: 56, x2: 530, y1: y(value), y2: y(value) }));
      image.append(draw("text", { class: "tick", x: 48, y: y(value) + 4, "text-anchor": "end" }, String(Number(value.toPrecision(4)))));
    }
    const line = points.map((row) => `${x(row[across]).toFixed(1)},${y(row[up]).toFixed(1)}`).join(" ");
    image.append(draw("polyline", { class: "curve", points: line }));
    for (const row of points) {
      const picked = row[across] === selected[across];
      image.append(draw("circle", { cx: x(row[across]), cy: y(row[up]), r: picked ? 5 : 2.5, class: picked ? "picked" : "" }));
    }
    for (const value of [xs[0], xs[xs.length - 1]]) {
      image.append(draw("text", { class: "tick", x: x(value), y: 148, "text-anchor": "middle" }, value.toPrecision(3)));
    }
    image.append(draw("text", { class: "tick", x: 293, y: 160, "text-anchor": "middle" }, `${across}${log ? " (log scale)" : ""} → ${up} on validation data`));
    return [make("h3", "Validation curve"), image];
  }
  function metrics(record) {
    const names = Object.keys(record.metrics).sort();
    return names.map((name) => {
      const metric = record.metrics[name], definition = record.task.metrics[name.split("/").pop()];
      const bounds = metric.interval ? ` [${shown(metric.interval.low, definition)}, ${shown(metric.interval.high, definition)}]` : "";
      return [name, `${shown(metric.value, definition)}${bounds}, n = ${metric.n}`];
    });
  }
  function sheet(record) {
    const headline = record.metrics[record.task.metric], definition = record.task.metrics[record.task.metric];
    const big = make("p", `${shown(headline.value, definition)} `, { class: "big" });
    const bounds = headline.interval ? `${shown(headline.interval.low, definition)}–${shown(headline.interval.high, definition)} (${headline.interval.method}, ${100 * headline.interval.level} %), ` : "";
    const chance = definition.chance === null ? "" : `, chance ${shown(definition.chance, definition)}`;
    big.append(make("small", `${record.task.metric} · ${bounds}n = ${headline.n}${chance}`));
    return [
      big,
      make("h3", "Measure it again"), make("pre", record.command),
      ...list("Metrics", metrics(record)),
      ...list("Chosen by the protocol", [...Object.entries(record.protocol.selected), ["converged", record.protocol.converged], ["at edge of grid", record.protocol.at_grid_edge]]),
      ...curve(record.protocol.curve, record.protocol.selected),
      ...list("Recipe", [["protocol", `${record.protocol.name} v${record.protocol.version}`], ["deterministic", record.protocol.deterministic], ...Object.entries(record.protocol.recipe)]),
      ...list("Model", [["name", record.model.name], ["adapter", record.model.adapter], ["library", record.model.library], ["source", record.model.source], ["parameters", record.model.parameters], ["dimension", record.model.embed_dim], ["architecture", record.model.arch], ...Object.entries(record.model.about)]),
      ...list("Features", [...Object.entries(record.features.requested).map(([key, value]) => [`${key} (asked)`, value]), ...Object.entries(record.features.resolved)]),
      ...list("Task", [["title", record.task.title], ["version", record.task.version], ["classes", record.task.classes], ["samples", record.task.samples], ...Object.entries(record.task.source)]),
      ...list("Time", Object.entries(record.timing)),
      ...list("Environment", [...Object.entries(record.environment), ...Object.entries(record.code).map(([key, value]) => [`code ${key}`, value])]),
      ...list("Digests", [["record", record.record_id], ["question", record.question], ["content", record.content_digest], ["weights", record.model.weights_digest], ["task", record.task.digest], ["samples", record.samples.sha256], ["created", record.created]]),
    ];
  }
  const drawer = byId("drawer");
  function open(places) {
    const records = places.map(unpacked);
    const top = make("div", null, { class: "top" });
    const close = make("button", "Close", { type: "button" });
    close.addEventListener("click", () => drawer.close());
    top.append(make("h2", records[0].model.title || records[0].model.name, { id: "drawer-title" }), close);
    const first = records[0];
    drawer.replaceChildren(top, make("p", `${first.task.title} · ${first.protocol.name}`, { class: "sub" }));
    for (const record of records) {
      if (records.length > 1) drawer.append(make("h3", `Seed ${record.seed}`));
      drawer.append(...sheet(record));
    }
    if (!drawer.open) drawer.showModal();
    drawer.scrollTop = 0;
    history.replaceState(null, "", `#record-${first.record_id.slice(0, 12)}`);
  }
  drawer.addEventListener("click", (event) => { if (event.target === drawer) drawer.close(); });
  drawer.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("a[data-r]");
    if (!cell || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(cell.dataset.r.split(" ").map(Number));
  });
  const asked = /^#record-([0-9a-f]{12})$/.exec(location.hash);
  const place = asked ? data.records.findIndex((record) => record.record_id.startsWith(asked[1])) : -1;
  if (place >= 0) open([place]);
})();
