"use strict";
// What the numbers are: as measured, chance-normalised or ranks; their means; and how they are written.
const numbers = (() => {
  // (value - chance) / (best - chance): chance stands at 0, the best that the task allows at 1.
  function normal(value, column) {
    if (value === null || column.chance === null || column.best === null || column.best === column.chance) return null;
    return (value - column.chance) / (column.best - column.chance);
  }

  // 1 is the best; equal values share the mean of their places.
  function ranks(values, higher) {
    const known = values.map((value, row) => [value, row]).filter(([value]) => value !== null);
    known.sort(([a], [b]) => (higher ? b - a : a - b));
    const found = values.map(() => null);
    for (let start = 0; start < known.length; ) {
      let end = start;
      while (end < known.length && known[end][0] === known[start][0]) end += 1;
      for (const [, row] of known.slice(start, end)) found[row] = (start + 1 + end) / 2;
      start = end;
    }
    return found;
  }

  const mean = (values) => (values.length && !values.includes(null) ? values.reduce((sum, value) => sum + value, 0) / values.length : null);

  // The means of one row's values; none where a task is missing, as when the page was made.
  function means(values, seen, table) {
    const groups = table.groups.map((group) =>
      group.columns.length === group.of ? mean(group.columns.map((column) => values[column])) : null);
    const clean = values.filter((_, column) => !seen.has(column));
    let all = null, unseen = null;
    if (table.over && !table.absent) {
      all = table.over === "groups" ? mean(groups) : mean(values);
      unseen = seen.size && table.over === "tasks" ? mean(clean) : null;
    }
    return { all, unseen, groups: table.means.map((name) => groups[table.groups.findIndex((group) => group.name === name)]) };
  }

  // Return what a view shows of every row: values, bounds and means, null where there is nothing.
  // Ranks are among `among`, the places of the rows that are shown; the others have none.
  function view(table, name, among) {
    if (name === "raw") {
      return table.rows.map((row) => ({ values: row.values, low: row.low, high: row.high, all: row.mean, unseen: row.clean ?? null, groups: row.groups }));
    }
    const columns = table.columns.map((column, place) => {
      if (name === "normal") return table.rows.map((row) => normal(row.values[place], column));
      const found = ranks(among.map((row) => table.rows[row].values[place]), column.higher);
      const all = table.rows.map(() => null);
      among.forEach((row, position) => { all[row] = found[position]; });
      return all;
    });
    return table.rows.map((row, place) => {
      const values = columns.map((column) => column[place]);
      const bounds = (side) => row[side].map((value, column) => (name === "normal" ? normal(value, table.columns[column]) : null));
      const { all, unseen, groups } = means(values, row.contaminated, table);
      return { values, low: bounds("low"), high: bounds("high"), all, unseen, groups };
    });
  }

  // Digits as the page was printed with: an exact half goes to the even digit.
  function fixed(value, digits) {
    const text = value.toFixed(digits);
    const half = value.toFixed(20).slice(text.length + (digits ? 0 : 1));
    if (!/^50*$/.test(half)) return text;
    const down = (Math.sign(value) * Math.floor(Math.abs(value) * 10 ** digits) / 10 ** digits).toFixed(digits);
    return Number(down.slice(-1)) % 2 ? text : down;
  }
  function written(value, unit) {
    if (unit === "fraction") return fixed(100 * value, 1);
    if (unit === "rank") return Number(value.toFixed(2)).toString();
    return Number(value.toPrecision(4)).toString();
  }
  function signed(value, unit) {
    const text = written(Math.abs(value), unit);
    if (!/[1-9]/.test(text)) return text;
    return `${value > 0 ? "+" : "−"}${text}`;
  }
  return { normal, ranks, view, written, signed };
})();
