"use strict";
// The drawer at the page's side: one model's row in full, or the records behind one number.
const drawer = (() => {
  const box = document.getElementById("drawer");
  const data = JSON.parse(document.getElementById("data").textContent);

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
  function unpacked(place) {
    const record = { ...data.records[place] };
    for (const key of ["model", "features", "task", "environment", "code"]) record[key] = data.pool[record[key]];
    record.protocol = { ...record.protocol, recipe: data.pool[record.protocol.recipe] };
    return record;
  }
  const round = (value) => Number(value.toPrecision(6)).toString();
  function plain(value) {
    if (typeof value === "number") return Number.isInteger(value) ? String(value) : round(value);
    return typeof value === "string" ? value : JSON.stringify(value);
  }
  function list(title, entries) {
    const found = make("dl");
    for (const [key, value] of entries) {
      if (value === null || value === undefined || value === "") continue;
      if (typeof value === "object" && !Object.keys(value).length) continue;
      const cell = make("dd");
      if (typeof value === "string" && /^https?:\/\/[^\s]+$/i.test(value)) {
        cell.append(make("a", value, { href: value, rel: "noopener noreferrer" }));
      } else {
        cell.textContent = plain(value);
      }
      found.append(make("dt", key), cell);
    }
    return found.children.length ? [make("h3", title), found] : [];
  }

  // ---- a record
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
  const shown = (value, definition) => numbers.written(value, definition.unit);
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

  // ---- a row
  function values(table, row) {
    const found = make("table", null, { class: "records" });
    found.append(make("caption", "Every task of this table", { class: "unseen" }));
    const head = make("tr");
    for (const name of ["task", "value", "95 %", ...(row.ids ? ["record"] : [])]) head.append(make("th", name, { scope: "col" }));
    found.append(make("thead"));
    found.tHead.append(head);
    const body = found.createTBody();
    table.columns.forEach((column, place) => {
      if (row.values[place] === null) return;
      const line = make("tr");
      line.append(make("th", column.name, { scope: "row" }), make("td", numbers.written(row.values[place], column.unit)));
      const bounds = row.low[place] === null ? "" : `${numbers.written(row.low[place], column.unit)}–${numbers.written(row.high[place], column.unit)}`;
      line.append(make("td", bounds));
      if (row.ids) line.append(make("td", row.ids.slice(8 * place, 8 * place + 8)));
      body.append(line);
    });
    return found;
  }
  function checked(row) {
    const standing = row.standing || { level: row.level };
    return list("How far it was checked", [["level", standing.level], ["by", standing.by], ["when", standing.created], ["note", standing.note]]);
  }
  function declared(entry) {
    if (!entry) return [];
    const labels = { labels_used: "labels used", passes_per_image: "passes per image" };
    const keys = ["organisation", "contact", "division", "licence", "weights", "sha256", "data", "labels_used", "passes_per_image", "code", "paper", "note"];
    return list("Declared by its submitter", keys.map((key) => [labels[key] || key, Array.isArray(entry[key]) ? entry[key].join(", ") : entry[key]]));
  }

  // ---- open and close
  function open(title, sub, parts, state) {
    const top = make("div", null, { class: "top" });
    const close = make("button", "Close", { type: "button" });
    close.addEventListener("click", () => box.close());
    top.append(make("h2", title, { id: "drawer-title" }), close);
    box.replaceChildren(top, make("p", sub, { class: "sub" }), ...parts);
    if (!box.open) box.showModal();
    box.scrollTop = 0;
    box.dispatchEvent(new CustomEvent("shown", { detail: state }));
  }
  function records(places) {
    const found = places.map(unpacked), [first] = found;
    const parts = found.flatMap((record) => [...(found.length > 1 ? [make("h3", `Seed ${record.seed}`)] : []), ...sheet(record)]);
    open(first.model.title || first.model.name, `${first.task.title} · ${first.protocol.name}`, parts, { record: first.record_id.slice(0, 12) });
  }
  function row(table, one, compare, page) {
    const model = data.models[one.model];
    const buttons = make("p", null, { class: "acts" });
    const button = make("button", "Show differences to this model", { type: "button" });
    button.addEventListener("click", () => { box.close(); compare(); });
    buttons.append(button);
    if (page) buttons.append(" ", make("a", "All that is known of this model", { href: page }));
    open(model.title || model.name, [model.name, one.variant, table.protocol].filter(Boolean).join(" · "), [
      buttons,
      ...checked(one),
      ...list("Declared contamination", Object.entries(one.seen || {})),
      ...declared(model.entry),
      ...list("Model", [["adapter", model.adapter], ["parameters", model.parameters], ["pooling", one.pooling], ["source", model.source], ...Object.entries(model.about)]),
      make("h3", "Values"), values(table, one),
    ], { model: model.name });
  }
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  return { data, box, make, records, row };
})();
