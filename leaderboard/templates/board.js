"use strict";
// The page's controls: what they say is the state, the state is in the address, and the tables follow it.
(() => {
  const byId = (id) => document.getElementById(id);
  const { data, make } = drawer;
  const SWITCHES = ["intervals", "published", "controls"];
  const form = byId("tools");
  const menus = [...form.querySelectorAll(".menu")];
  const boxes = (menu) => [...menu.querySelectorAll("input")];
  const fresh = () => ({ find: "", least: "", most: "", facets: {}, hidden: tables.hiddenAtFirst(), view: "raw", base: "", intervals: true, published: true, controls: true, sorts: {} });
  let state = fresh(), opened = {};

  // ---- the state in the address: #find=…&data=a,b&sort.knn=all,-t:cifar10
  const packed = (words) => [...words].map(encodeURIComponent).join(",");
  const decoded = (word) => { try { return decodeURIComponent(word); } catch { return word; } };
  const unpacked = (text) => text.split(",").filter(Boolean).map(decoded);
  function address() {
    const usual = fresh(), said = new URLSearchParams();
    for (const key of ["find", "least", "most", "view", "base"]) if (state[key] !== usual[key]) said.set(key, state[key]);
    for (const key of SWITCHES) if (!state[key]) said.set(key, "0");
    for (const [key, values] of Object.entries(state.facets)) if (values.size) said.set(key, packed([...values].sort()));
    if (packed([...state.hidden].sort()) !== packed([...usual.hidden].sort())) said.set("without", packed([...state.hidden].sort()));
    for (const [protocol, keys] of Object.entries(state.sorts)) said.set(`sort.${protocol}`, packed(keys.map(([id, reversed]) => (reversed ? `-${id}` : id))));
    for (const [key, value] of Object.entries(opened)) said.set(key, value);
    return said.toString();
  }
  function told(text) {
    const found = fresh(), said = new URLSearchParams(text);
    for (const key of ["find", "least", "most"]) found[key] = said.get(key) ?? "";
    found.base = tables.all.some((table) => table.labels.includes(said.get("base"))) ? said.get("base") : "";
    found.view = ["normal", "ranks"].includes(said.get("view")) ? said.get("view") : "raw";
    for (const key of SWITCHES) found[key] = said.get(key) !== "0";
    for (const menu of menus) {
      const key = menu.dataset.facet;
      if (key !== "columns" && said.has(key)) found.facets[key] = new Set(unpacked(said.get(key)));
    }
    if (said.has("without")) found.hidden = new Set(unpacked(said.get("without")));
    for (const { facts } of tables.all) {
      const keys = said.get(`sort.${facts.protocol}`);
      if (keys) found.sorts[facts.protocol] = unpacked(keys).map((word) => (word.startsWith("-") ? [word.slice(1), true] : [word, false]));
    }
    return found;
  }
  function remember() {
    const said = address();
    history.replaceState(null, "", said ? `#${said}` : location.pathname + location.search);
  }

  // ---- the state in the controls
  function fill() {
    for (const key of ["find", "least", "most", "view", "base"]) byId(key).value = state[key];
    for (const key of SWITCHES) byId(`show-${key}`).checked = state[key];
    for (const menu of menus) {
      const key = menu.dataset.facet;
      for (const box of boxes(menu)) box.checked = key === "columns" ? !state.hidden.has(box.value) : Boolean(state.facets[key]?.has(box.value));
    }
  }
  function ask() {
    for (const key of ["find", "least", "most", "view", "base"]) state[key] = byId(key).value;
    for (const key of SWITCHES) state[key] = byId(`show-${key}`).checked;
    for (const menu of menus) {
      const key = menu.dataset.facet, ticked = boxes(menu).filter((box) => box.checked).map((box) => box.value);
      if (key === "columns") state.hidden = new Set(boxes(menu).map((box) => box.value).filter((value) => !ticked.includes(value)));
      else state.facets[key] = new Set(ticked);
    }
  }

  // ---- what follows from it
  function show() {
    document.body.classList.toggle("altered", state.view !== "raw" || Boolean(state.base));
    document.body.classList.toggle("no-intervals", !state.intervals || state.view === "ranks" || Boolean(state.base));
    document.body.classList.toggle("no-published", !state.published);
    for (const table of tables.all) table.apply(state);
    for (const menu of menus) {
      const key = menu.dataset.facet, count = key === "columns" ? 0 : state.facets[key]?.size ?? 0;
      menu.querySelector("summary").dataset.count = count || (key === "columns" && state.hidden.size ? `${boxes(menu).length - state.hidden.size}/${boxes(menu).length}` : "");
    }
    say();
    remember();
  }
  function say(text) {
    const standing = tables.all.filter((table) => !table.section.hidden);
    const shown = new Set(standing.flatMap((table) => table.order.map((place) => table.facts.rows[place].model)));
    const words = { raw: "", normal: ", chance-normalised", ranks: ", ranks" }[state.view] + (state.base ? `, less ${state.base}` : "");
    byId("count").textContent = text ?? `${shown.size} of ${data.models.length} models${words}`;
  }

  // ---- sorting: a heading alone, or with the shift key one key more
  function press(table, id, more) {
    const keys = table.sorts, known = keys.find(([key]) => key === id);
    if (more) state.sorts[table.facts.protocol] = known ? keys.map(([key, reversed]) => [key, key === id ? !reversed : reversed]) : [...keys, [id, false]];
    else state.sorts[table.facts.protocol] = [[id, keys.length === 1 && known ? !known[1] : false]];
    table.apply(state);
    remember();
    say(`${table.facts.protocol} sorted by ${table.sorts.map(([key]) => key.replace(/^[gt]:/, "")).join(", then ")}`);
  }

  // ---- the drawer
  function openRow(table, row) {
    const place = table.rows.indexOf(row), facts = table.facts.rows[place], link = row.querySelector("a.model");
    const compare = () => { state.base = table.labels[place]; fill(); show(); };
    drawer.row(table.facts, facts, compare, link?.getAttribute("href"));
  }
  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const number = event.target.closest("a[data-r]"), name = event.target.closest(".board tbody .model");
    if (number) drawer.records(number.dataset.r.split(" ").map(Number));
    else if (name) openRow(tables.all.find((table) => table.element.contains(name)), name.closest("tr"));
    else return;
    event.preventDefault();
  });
  drawer.box.addEventListener("shown", (event) => { opened = event.detail; remember(); });
  drawer.box.addEventListener("close", () => { opened = {}; remember(); });
  function reopen(said) {
    const place = data.records.findIndex((record) => record.record_id.slice(0, 12) === said.get("record"));
    const table = tables.all.find(({ facts }) => facts.rows.some((row) => data.models[row.model].name === said.get("model")));
    if (place >= 0) drawer.records([place]);
    else if (table) openRow(table, table.rows[table.facts.rows.findIndex((row) => data.models[row.model].name === said.get("model"))]);
  }

  // ---- export and link
  function copy(text, said) {
    const done = () => say(said), failed = () => say("The browser does not let this page write to the clipboard.");
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, failed);
    else failed();
  }
  byId("download").addEventListener("click", () => {
    const { text, type, name } = exporting.of(byId("format").value, state);
    const link = make("a", null, { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
  byId("copy").addEventListener("click", () => copy(exporting.of(byId("format").value, state).text, "Table copied."));
  byId("link").addEventListener("click", () => copy(location.href, "Link copied."));
  byId("reset").addEventListener("click", () => { state = fresh(); fill(); show(); });

  // ---- menus: one open at a time; Escape and a click elsewhere close it
  form.addEventListener("toggle", (event) => {
    if (event.target.open) for (const menu of menus) if (menu !== event.target) menu.open = false;
  }, true);
  document.addEventListener("click", (event) => {
    for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
  });
  form.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest(".menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  // ---- begin
  for (const label of new Set(tables.all.flatMap((table) => table.labels))) byId("base").append(make("option", label, { value: label }));
  for (const table of tables.all) table.headings(press);
  document.body.classList.add("live");
  form.hidden = false;
  form.addEventListener("input", (event) => { if (event.target.id !== "format") { ask(); show(); } });
  form.addEventListener("submit", (event) => event.preventDefault());
  const restore = () => {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) return;
    state = told(text);
    fill();
    show();
    return new URLSearchParams(text);
  };
  const said = restore();
  if (said === undefined) show();
  else reopen(said);
  window.addEventListener("hashchange", () => { const again = restore(); if (again) reopen(again); });
})();
