"use strict";
// The tables: which rows stand, in which order, in which numbers, under which headings.
//
// Of a long table only the first hundred rows of the order are shown; one rule of the style sheet hides the others. A
// row is put in its place and rewritten when it is shown, what fits a screen first. So a sort costs what is seen, not
// what there is.
const tables = (() => {
  const { data, make } = drawer;
  const AT_ONCE = 1500, MOST_AT_ONCE = 24, STEP = 100, FEW_COLUMNS = 24;
  const sheet = document.styleSheets[0];
  const rules = new Map();

  // Let a rule stand in the style sheet under a name, or none where there is no selector. A rule that stands already is
  // left alone: the browser looks at every row again when one comes.
  function hide(name, selector) {
    const known = rules.get(name);
    if (known?.selector === selector) return;
    if (known) sheet.deleteRule([...sheet.cssRules].indexOf(known.rule));
    rules.delete(name);
    if (!selector) return;
    const place = sheet.insertRule(`${selector} { display: none; }`, sheet.cssRules.length);
    rules.set(name, { selector, rule: sheet.cssRules[place] });
  }

  function textOf(cell) {
    let node = cell.firstChild;
    while (node && node.nodeType !== Node.TEXT_NODE) node = node.firstChild;
    return node;
  }
  const boundsOf = (cell) => [...cell.children].find((part) => part.tagName === "SMALL" && !part.className);

  class Table {
    constructor(facts, place) {
      this.facts = facts;
      this.element = document.getElementById(`board-${place}`);
      this.section = this.element.closest("section");
      this.body = this.element.tBodies[0];
      this.rows = [...this.body.rows];
      this.foot = this.element.tFoot.rows[0];
      this.clean = facts.rows.some((row) => "clean" in row);
      this.ids = ["name", "size", "all", ...(this.clean ? ["clean"] : []), ...facts.means.map((name) => `g:${name}`), ...facts.columns.map((column) => `t:${column.name}`)];
      this.first = this.ids.length - facts.columns.length;
      this.labels = facts.rows.map((row) => data.models[row.model].name + (row.variant ? ` (${row.variant})` : ""));
      for (const row of facts.rows) {
        row.contaminated = new Set(facts.columns.flatMap((column, at) => (row.seen && column.name in row.seen ? [at] : [])));
      }
      this.printed = new Map();
      this.painted = new Map();
      this.limit = STEP;
      this.run = 0;
      this.more = make("p", null, { class: "more", hidden: "" });
      this.element.parentElement.after(this.more);
      this.spans = this.spansOf();
    }

    // Group headings with the columns under them, as they are printed.
    spansOf() {
      const headings = [...this.element.querySelectorAll(".groups th")].slice(1);
      const found = [];
      this.facts.columns.forEach((column, place) => {
        const last = found[found.length - 1];
        if (last && last.group === column.group) last.end = place + 1;
        else found.push({ group: column.group, start: place, end: place + 1, heading: headings[found.length] });
      });
      return found;
    }

    // ---- numbers
    // One number of a row's view, by the id of its column.
    number(view, id) {
      const at = this.ids.indexOf(id);
      if (at >= this.first) return view.values[at - this.first];
      if (id === "all") return view.all;
      return id === "clean" ? view.unseen : view.groups[at - (this.clean ? 4 : 3)];
    }
    unit(at) {
      if (this.state.view === "ranks") return "rank";
      if (this.state.view === "normal") return "fraction";
      return at >= this.first ? this.facts.columns[at - this.first].unit : this.facts.unit;
    }
    higher(at) {
      if (this.state.view !== "raw") return this.state.view === "normal";
      return at >= this.first ? this.facts.columns[at - this.first].higher : this.facts.higher;
    }

    // ---- one row as it is seen
    keep(row, cells) {
      if (!this.printed.has(row)) this.printed.set(row, cells.map((cell) => [textOf(cell)?.data, boundsOf(cell)?.textContent]));
      return this.printed.get(row);
    }
    // Write a cell's number: as printed, in another view, or as a difference to the chosen row's.
    write(cell, at, [text, interval], value, bounds, other) {
      const unit = this.unit(at), changed = this.state.view !== "raw" || other !== undefined;
      const difference = value === null || other === null ? null : value - other;
      if (changed) {
        interval &&= bounds && bounds[0] !== null ? bounds.map((bound) => numbers.written(bound, unit)).join("–") : "";
        if (other !== undefined) text &&= difference === null ? "—" : numbers.signed(difference, unit);
        else text &&= value === null ? "—" : numbers.written(value, unit);
      }
      const differs = other !== undefined && difference && /[1-9]/.test(text);
      cell.classList.toggle("better", Boolean(differs) && difference > 0 === this.higher(at));
      cell.classList.toggle("worse", Boolean(differs) && difference > 0 !== this.higher(at));
      const node = textOf(cell), small = boundsOf(cell);
      if (node && node.data !== text) node.data = text;
      if (small && small.textContent !== interval) small.textContent = interval;
    }
    paint(place) {
      if (this.painted.get(place) === this.version) return;
      if (!this.painted.has(place)) this.openable(this.rows[place]);
      this.painted.set(place, this.version);
      if (this.state.view === "raw" && this.base === undefined && !this.printed.has(place)) return;
      const cells = [...this.rows[place].cells].slice(2), printed = this.keep(place, cells);
      const view = this.view[place], isBase = place === this.base;
      this.rows[place].classList.toggle("base", isBase);
      cells.forEach((cell, i) => {
        const at = i + 2, id = this.ids[at], column = at - this.first;
        const other = this.base === undefined || isBase ? undefined : this.number(this.view[this.base], id);
        this.write(cell, at, printed[i], this.number(view, id), column >= 0 ? [view.low[column], view.high[column]] : null, other);
      });
    }
    paintChance() {
      const cells = [...this.foot.cells].slice(2), printed = this.keep("chance", cells);
      const { view } = this.state;
      cells.forEach((cell, i) => {
        const at = i + 2, column = this.facts.columns[at - this.first];
        const known = column ? column.chance : this.ids[at] === "all" ? this.facts.chance : null;
        const value = known === null || view === "ranks" ? null : view === "raw" ? known : column && numbers.normal(known, column) === null ? null : 0;
        const other = this.base === undefined || value === null ? undefined : this.number(this.view[this.base], this.ids[at]);
        if (textOf(cell)?.data.trim()) this.write(cell, at, printed[i], value, null, other);
      });
    }
    // The name of a row without a page of its own becomes the button of its drawer.
    openable(row) {
      const name = row.querySelector("span.model");
      if (name) name.replaceWith(make("button", name.textContent, { class: "model", type: "button" }));
    }

    // ---- rows and their order
    matching(state) {
      const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = (key, values) => !state.facets[key]?.size || values.some((value) => state.facets[key].has(value));
      return this.facts.rows.flatMap((row, place) => {
        const model = data.models[row.model];
        model.search ??= [model.name, model.title, model.adapter, ...model.data, model.licence, ...Object.values(model.about)].join(" ").toLowerCase();
        const search = `${model.search} ${row.variant.toLowerCase()}`, size = model.parameters / 1e6;
        const stands = (state.controls || !row.control) && words.every((word) => search.includes(word)) &&
          (state.least === "" || size >= Number(state.least)) && (state.most === "" || size <= Number(state.most)) &&
          chosen("data", model.data) && chosen("licence", [model.licence]) && chosen("division", [model.division]) &&
          chosen("level", [row.level]) && chosen("pooling", [row.pooling]);
        return stands ? [place] : [];
      });
    }
    key([id, reversed]) {
      if (id === "name") return { values: this.labels, sign: reversed ? -1 : 1 };
      if (id === "size") return { values: this.facts.rows.map((row) => data.models[row.model].parameters), sign: reversed ? -1 : 1 };
      const up = this.higher(this.ids.indexOf(id)) === reversed;
      return { values: this.view.map((view) => this.number(view, id)), sign: up ? 1 : -1 };
    }
    // What is missing stands last; equal rows keep the order in which they were printed.
    ordered(places) {
      const keys = this.sorts.map((sort) => this.key(sort));
      return [...places].sort((one, other) => {
        for (const { values, sign } of keys) {
          const a = values[one], b = values[other];
          if (a === b) continue;
          if (a === null || b === null) return a === null ? 1 : -1;
          return sign * (typeof a === "string" ? a.localeCompare(b, "en") : a - b);
        }
        return one - other;
      });
    }
    // Put the first rows of the order in their places, a screenful now and the others in the moments after.
    arrange() {
      const run = (this.run += 1), shown = this.order.slice(0, this.limit);
      const columns = this.ids.length - this.hidden.reduce((sum, span) => sum + span.end - span.start, 0);
      let placed = 0, there = this.body.firstElementChild;
      const step = (count) => {
        for (const place of shown.slice(placed, placed + count)) {
          const row = this.rows[place];
          this.paint(place);
          if (row === there) there = there.nextElementSibling;
          else this.body.insertBefore(row, there);
        }
        placed += count;
        if (placed < shown.length) this.element.setAttribute("aria-busy", "true");
        else this.element.removeAttribute("aria-busy");
        if (placed < shown.length) requestAnimationFrame(() => setTimeout(() => { if (run === this.run) step(count); }));
      };
      hide(`${this.element.id} rows`, shown.length < this.rows.length ? `#${this.element.id} > tbody > tr:nth-child(n + ${shown.length + 1})` : "");
      step(Math.min(MOST_AT_ONCE, Math.max(12, Math.floor(AT_ONCE / columns))));
      this.sayMore(shown.length);
    }
    sayMore(shown) {
      const all = this.order.length;
      this.more.hidden = all > 0 && shown === all;
      if (this.more.hidden) return;
      this.more.replaceChildren(all ? `${shown} of ${all} rows shown. ` : "No row of this table matches the filter.");
      if (!all) return;
      for (const [text, limit] of [[`Show ${Math.min(STEP, all - shown)} more`, this.limit + STEP], ["Show all", Infinity]]) {
        const button = make("button", text, { type: "button" });
        button.addEventListener("click", () => { this.limit = limit; this.arrange(); });
        this.more.append(button, " ");
      }
    }

    // ---- columns and headings
    arrangeColumns(hidden) {
      this.hidden = this.spans.filter((span) => hidden.has(span.group));
      for (const span of this.spans) span.heading?.toggleAttribute("hidden", hidden.has(span.group));
      const cells = this.hidden.map((span) => `:nth-child(n + ${this.first + span.start + 1}):nth-child(-n + ${this.first + span.end})`);
      const rows = `#${this.element.id} :is(.heads, tbody tr, tfoot tr)`;
      hide(`${this.element.id} columns`, cells.length ? `${rows} > :is(${cells.join(", ")})` : "");
    }
    headings(press) {
      [...this.element.querySelector(".heads").cells].forEach((heading, at) => {
        const link = heading.querySelector("a"), unit = heading.querySelector("small");
        const button = make("button", (link ?? heading.firstChild).textContent.trim(), { type: "button" });
        if (unit) button.append(" ", unit);
        const also = make("span", "", { class: "unseen" });
        heading.replaceChildren(button, also);
        if (link) heading.append(make("a", "↗", { class: "to", href: link.getAttribute("href"), "aria-label": `About ${link.textContent}` }));
        button.addEventListener("click", (event) => press(this, this.ids[at], event.shiftKey));
      });
    }
    markHeadings() {
      [...this.element.querySelector(".heads").cells].forEach((heading, at) => {
        const rank = this.sorts.findIndex(([id]) => id === this.ids[at]), [button, also] = heading.children;
        heading.removeAttribute("aria-sort");
        delete button.dataset.key;
        also.textContent = "";
        if (rank < 0) return;
        const words = this.key(this.sorts[rank]).sign > 0 ? "ascending" : "descending";
        button.dataset.key = (words === "ascending" ? "↑" : "↓") + (this.sorts.length > 1 ? rank + 1 : "");
        if (rank === 0) heading.setAttribute("aria-sort", words);
        else also.textContent = `, key ${rank + 1}, ${words}`;
      });
    }

    // ---- all of it
    apply(state) {
      this.state = state;
      this.sorts = state.sorts[this.facts.protocol] ?? [["all", false]];
      this.sorts = this.sorts.filter(([id]) => this.ids.includes(id));
      this.arrangeColumns(state.hidden);
      const places = this.matching(state);
      const base = this.labels.indexOf(state.base);
      this.base = base < 0 ? undefined : base;
      this.version = [state.view, state.base, state.view === "ranks" ? places.join() : ""].join("\n");
      if (this.version !== this.viewed) this.view = numbers.view(this.facts, state.view, places);
      this.viewed = this.version;
      this.section.hidden = Boolean(state.facets.protocol?.size) && !state.facets.protocol.has(this.facts.protocol);
      this.order = this.ordered(places);
      this.paintChance();
      this.markHeadings();
      this.arrange();
    }
  }

  const all = data.tables.map((facts, place) => new Table(facts, place));
  // A table of very many columns opens with the first groups of them.
  function hiddenAtFirst() {
    const found = new Set();
    for (const table of all) {
      if (table.facts.columns.length <= FEW_COLUMNS) continue;
      let count = 0;
      for (const span of table.spans) {
        count += span.end - span.start;
        if (count > FEW_COLUMNS && span.start > 0) found.add(span.group);
      }
    }
    return found;
  }
  return { all, hiddenAtFirst, textOf };
})();
