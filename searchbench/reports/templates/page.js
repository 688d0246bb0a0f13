"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const csv = JSON.parse(document.getElementById("csv-data").textContent);
  const root = document.documentElement;

  // Theme: the system's unless the reader chooses; file:// pages may have no storage.
  const stored = () => { try { return localStorage.getItem("searchbench-theme"); } catch { return null; } };
  const keep = (value) => { try { localStorage.setItem("searchbench-theme", value); } catch { /* not kept */ } };
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => root.dataset.theme === "dark" || (root.dataset.theme === "auto" && systemDark.matches);
  const toggle = document.getElementById("theme");

  function themed(node) {
    const style = getComputedStyle(root);
    const of = (name) => style.getPropertyValue(name).trim();
    const axes = Object.keys(figures[node.dataset.figure].layout).filter((key) => /^[xy]axis/.test(key));
    const lines = axes.flatMap((axis) => [[`${axis}.gridcolor`, of("--line")], [`${axis}.linecolor`, of("--soft")]]);
    return { ...Object.fromEntries(lines), "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
      "font.color": of("--ink"), "modebar.color": of("--soft"), "modebar.activecolor": of("--ink"), "hoverlabel.bgcolor": of("--raised"), "hoverlabel.font.color": of("--ink") };
  }
  function showTheme() {
    toggle.textContent = dark() ? "Light" : "Dark";
    toggle.setAttribute("aria-pressed", String(dark()));
    document.querySelectorAll(".plot[data-drawn]").forEach((node) => Plotly.relayout(node, themed(node)));
  }
  if (["light", "dark"].includes(stored())) root.dataset.theme = stored();
  toggle.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; keep(root.dataset.theme); showTheme(); });
  systemDark.addEventListener("change", showTheme);

  // Figures near the screen are drawn first, the others one by one while the page is idle, all before printing.
  function nested(flat) {
    const out = {};
    for (const [path, value] of Object.entries(flat)) {
      const parts = path.split(".");
      let at = out;
      parts.slice(0, -1).forEach((part) => { at = at[part] = at[part] || {}; });
      at[parts.at(-1)] = value;
    }
    return out;
  }
  function merged(a, b) {
    const out = { ...a };
    for (const [key, value] of Object.entries(b))
      out[key] = value && typeof value === "object" && !Array.isArray(value) ? merged(a[key] || {}, value) : value;
    return out;
  }
  function draw(node) {
    if (node.dataset.drawn || !node.clientWidth) return;
    node.dataset.drawn = "yes";
    const figure = figures[node.dataset.figure];
    const base = { margin: { l: 60, r: 14, t: 12, b: 46 }, font: { size: 12 }, hovermode: "closest",
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, autosize: true, modebar: { bgcolor: "rgba(0,0,0,0)" } };
    const layout = merged(merged(base, figure.layout), nested(themed(node)));
    Plotly.newPlot(node, figure.data, layout, { responsive: true, displaylogo: false,
      displayModeBar: "hover", modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]], toImageButtonOptions: { format: "svg", filename: figure.name } });
  }
  const near = new IntersectionObserver((seen) => seen.forEach((one) => { if (one.isIntersecting) draw(one.target); }), { rootMargin: "600px" });
  document.querySelectorAll(".plot").forEach((node) => near.observe(node));
  const waiting = [...document.querySelectorAll(".plot")];
  const next = () => { if (waiting.length) { draw(waiting.shift()); setTimeout(next, 15); } };
  addEventListener("load", () => setTimeout(next, 50));
  // What is folded away is drawn when it opens; a link into it opens it, and so does printing.
  const folds = [...document.querySelectorAll("details")];
  folds.forEach((fold) => fold.addEventListener("toggle", () => { if (fold.open) fold.querySelectorAll(".plot").forEach(draw); }));
  const unfold = () => { for (let at = document.getElementById(decodeURIComponent(location.hash.slice(1))); at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true; };
  addEventListener("hashchange", unfold);
  unfold();
  let folded = [];
  addEventListener("beforeprint", () => { folded = folds.filter((fold) => !fold.open); folded.forEach((fold) => { fold.open = true; }); });
  addEventListener("afterprint", () => folded.forEach((fold) => { fold.open = false; }));
  addEventListener("beforeprint", () => { root.dataset.before = root.dataset.theme; root.dataset.theme = "light";
    document.querySelectorAll(".plot").forEach(draw); showTheme();
    document.querySelectorAll(".plot[data-drawn]").forEach((node) => Plotly.relayout(node, { width: 620, autosize: false })); });
  addEventListener("afterprint", () => { root.dataset.theme = root.dataset.before || "auto"; showTheme();
    document.querySelectorAll(".plot[data-drawn]").forEach((node) => Plotly.relayout(node, { width: null, autosize: true })); });

  document.querySelectorAll("select[data-chooser]").forEach((select) => select.addEventListener("change", () => {
    [...document.getElementById(select.dataset.chooser).children].forEach((child, i) => { child.hidden = i !== Number(select.value); });
    document.getElementById(select.dataset.chooser).querySelectorAll(".choice:not([hidden]) .plot").forEach(draw);
  }));

  // Sorting by the full numbers behind the cells; what has none comes last either way.
  const number = (text) => (text === "" || Number.isNaN(Number(text)) ? null : Number(text));
  function sort(table, column, ascending) {
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row, i) => ({ row, i, text: row.cells[column].dataset.sort, value: number(row.cells[column].dataset.sort) }));
    const numeric = keyed.some((one) => one.value !== null);
    keyed.sort((a, b) => {
      if (!numeric) return (ascending ? 1 : -1) * a.text.localeCompare(b.text) || a.i - b.i;
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || a.i - b.i;
      return (ascending ? 1 : -1) * (a.value - b.value) || a.i - b.i;
    });
    keyed.forEach((one) => body.append(one.row));
  }
  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table, column, ascending);
    }));
  });

  document.querySelectorAll("input[data-filter]").forEach((input) => input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...document.getElementById(input.dataset.filter).tBodies[0].rows];
    rows.forEach((row) => { const text = row.textContent.toLowerCase(); row.hidden = !words.every((word) => text.includes(word)); });
    const shown = rows.filter((row) => !row.hidden).length;
    document.querySelector(`[data-count="${input.dataset.filter}"]`).textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  }));

  document.querySelectorAll("button[data-csv]").forEach((button) => {
    const name = button.dataset.csv;
    if (!(name in csv)) { button.disabled = true; button.title = `too large for this page; ${name} lies beside it`; return; }
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([csv[name]], { type: "text/csv" }));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  });
  showTheme();
})();
