"use strict";
// The current view as CSV, Markdown, LaTeX or JSON: the tables, rows, columns and numbers that are shown, in their order.
const exporting = (() => {
  const { data } = drawer;
  const shown = (cell) => [(tables.textOf(cell)?.data ?? "").trim(), cell.querySelector(".cover")?.textContent].filter(Boolean).join(" ");

  // Return a table's view: headings, rows and the row of chance, with numbers and with text as it is shown.
  function grid(table) {
    const at = table.ids.map((_, place) => place).slice(2).filter((place) =>
      !table.hidden.some((span) => place >= table.first + span.start && place < table.first + span.end));
    const heads = at.map((place) => {
      const column = table.facts.columns[place - table.first], unit = column && column.unit !== "fraction" ? column.unit : "";
      return { id: table.ids[place], name: column ? column.name : { all: "mean", clean: "clean mean" }[table.ids[place]] ?? table.ids[place].slice(2), unit, task: Boolean(column) };
    });
    const base = table.base === undefined ? undefined : table.view[table.base];
    const rows = table.order.map((place) => {
      table.paint(place);
      const row = table.facts.rows[place], model = data.models[row.model], view = table.view[place];
      const cells = at.map((column, i) => {
        const cell = table.rows[place].cells[column], other = base && table.number(base, heads[i].id), task = column - table.first;
        let value = table.number(view, heads[i].id);
        if (base && place !== table.base) value = value === null || other === null ? null : value - other;
        return {
          value, text: shown(cell), best: row.best.includes(task), marks: [...cell.querySelectorAll(".seen, .drift")].map((mark) => mark.textContent),
          low: task >= 0 && !base ? view.low[task] : null, high: task >= 0 && !base ? view.high[task] : null,
        };
      });
      return { row, model, label: table.labels[place], cells };
    });
    const chance = at.map((column) => shown(table.foot.cells[column]));
    return { protocol: table.facts.protocol, heads, rows, chance };
  }
  const facts = (row, model) => ({
    model: model.name, variant: row.variant, control: row.control, parameters: model.parameters, data: model.data.join(", "),
    licence: model.licence, checked: row.level, pooling: row.pooling, division: model.division,
  });
  const withBounds = (state) => state.intervals && state.view !== "ranks" && !state.base;

  // ---- CSV: numbers as they are; text that a spreadsheet would take for a formula is led by an apostrophe
  function csv(grids, state) {
    const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const safe = (text) => quoted(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
    const said = (value) => (typeof value === "string" ? safe(value) : value === null || value === undefined ? "" : typeof value === "boolean" ? (value ? "yes" : "no") : String(value));
    const bounds = withBounds(state);
    const names = [...new Set(grids.flatMap(({ heads }) => heads.map(({ name }) => name)))];
    const tasks = new Set(grids.flatMap(({ heads }) => heads.filter(({ task }) => task).map(({ name }) => name)));
    const parts = names.flatMap((name) => (bounds && tasks.has(name) ? [name, `${name}.low`, `${name}.high`] : [name]));
    const lines = [["protocol", "model", "variant", "control", "parameters", "data", "licence", "checked", "pooling", "division", ...parts].map(safe)];
    for (const { protocol, heads, rows } of grids) {
      for (const { row, model, cells } of rows) {
        const values = names.flatMap((name) => {
          const cell = cells[heads.findIndex((head) => head.name === name)];
          return bounds && tasks.has(name) ? [cell?.value, cell?.low, cell?.high] : [cell?.value];
        });
        lines.push([protocol, ...Object.values(facts(row, model)), ...values].map(said));
      }
    }
    return lines.map((line) => `${line.join(",")}\n`).join("");
  }

  // ---- Markdown and LaTeX: text as it is shown
  function printable(text) {
    return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, " ");
  }
  function markdownCell(text) {
    const flat = printable(text).replace(/\s+/g, " ").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    return flat.replace(/[\\`*|[\]]/g, "\\$&");
  }
  function markdown(grids) {
    const line = (cells) => `| ${cells.join(" | ")} |`;
    return grids.map(({ protocol, heads, rows, chance }) => [
      `## ${markdownCell(protocol)}`, "",
      line(["model", ...heads.map(({ name, unit }) => markdownCell(unit ? `${name} (${unit})` : name))]),
      `|${[" :-- ", ...heads.map(() => " --: ")].join("|")}|`,
      ...rows.map(({ row, label, cells }) => line([
        row.control ? `*${markdownCell(label)}*` : markdownCell(label),
        ...cells.map(({ text, best, marks }) => `${best ? `**${text}**` : text}${marks.join("")}`),
      ])),
      line(["*chance*", ...chance]),
    ].join("\n")).join("\n\n") + "\n";
  }
  const escaped = (text) => [...printable(text)].map((char) => data.latex.escapes[char] ?? char).join("");
  const plain = (text) => (/^[-−+]/.test(text) ? `$${text.replace("−", "-")}$` : text.replace("—", "--"));
  function latex(grids) {
    const line = (cells) => `${cells.join(" & ")} \\\\`;
    const tables = grids.map(({ protocol, heads, rows, chance }) => [
      "\\begin{table}", `\\caption{${escaped(`${document.querySelector("h1").textContent}, ${protocol}. Percent unless a unit is given.`)}}`,
      `\\begin{tabular}{l${"r".repeat(heads.length)}}`, "\\toprule",
      line(["model", ...heads.map(({ name, unit }) => escaped(unit ? `${name} (${unit})` : name))]), "\\midrule",
      ...rows.map(({ row, label, cells }) => line([
        row.control ? `\\textit{${escaped(label)}}` : escaped(label),
        ...cells.map(({ text, best, marks }) => (best ? `\\textbf{${plain(text)}}` : plain(text)) + marks.map((mark) => data.latex.marks[mark]).join("")),
      ])),
      "\\midrule", line(["\\textit{chance}", ...chance.map(plain)]), "\\bottomrule", "\\end{tabular}", "\\end{table}",
    ].join("\n"));
    return ["% \\usepackage{booktabs,textcomp}", ...tables].join("\n\n") + "\n";
  }

  function json(grids, state) {
    const bounds = withBounds(state);
    const body = {
      title: document.querySelector("h1").textContent, view: state.view, difference_to: state.base,
      tables: grids.map(({ protocol, heads, rows }) => ({
        protocol,
        rows: rows.map(({ row, model, cells }) => ({
          ...facts(row, model),
          values: Object.fromEntries(heads.map(({ name }, i) => [name, bounds && heads[i].task && cells[i].value !== null ? [cells[i].value, cells[i].low, cells[i].high] : cells[i].value])),
        })),
      })),
    };
    return `${JSON.stringify(body, null, 1)}\n`;
  }

  const FORMATS = { csv: [csv, "text/csv"], md: [markdown, "text/markdown"], tex: [latex, "application/x-tex"], json: [json, "application/json"] };
  function of(format, state) {
    const [make, type] = FORMATS[format];
    const standing = tables.all.filter((table) => !table.section.hidden);
    return { text: make(standing.map(grid), state), type, name: `board.${format}` };
  }
  return { of };
})();
