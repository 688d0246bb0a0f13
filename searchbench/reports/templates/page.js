"use strict";
(() => {
  // What the page carries is packed: unpacked by the browser when it is first needed, from the page itself.
  const unpacked = new Map();
  function unpack(node) {
    if (!unpacked.has(node)) {
      const bytes = Uint8Array.from(atob(node.textContent), (character) => character.charCodeAt(0));
      unpacked.set(node, new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text());
    }
    return unpacked.get(node);
  }
  const data = (name) => document.getElementById(`data-${name}`);
  let figures = {};
  let loading;
  function library() {  // once: the figures' data, and the library that draws them
    loading = loading || Promise.all([unpack(data("figures")), unpack(data("library"))]).then(([own, code]) => {
      figures = JSON.parse(own);
      const script = document.createElement("script");
      script.textContent = code;
      document.head.append(script);
    });
    return loading;
  }
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
    document.querySelectorAll(".plot[data-drawn]").forEach((node) => { if (node._fullLayout) Plotly.relayout(node, themed(node)); });
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
  async function draw(node) {
    if (node.dataset.drawn || !node.clientWidth) return;
    await library();
    if (node.dataset.drawn || !node.clientWidth) return;
    node.dataset.drawn = "yes";
    const figure = figures[node.dataset.figure];
    const base = { margin: { l: 60, r: 14, t: 26, b: 46 }, font: { size: 12 }, hovermode: "closest",
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, autosize: true, modebar: { bgcolor: "rgba(0,0,0,0)" } };
    const layout = merged(merged(base, figure.layout), nested(themed(node)));
    const labels = figure.labelled && node.clientWidth > 460;
    const width = labels ? Math.min(190, 24 + 6.6 * Math.max(...ends(figure).map((trace) => trace.name.length), 4)) : 0;
    if (labels) { layout.showlegend = false; layout.margin.r = width; }
    await Plotly.newPlot(node, figure.data, layout, { responsive: true, displaylogo: false,
      displayModeBar: "hover", modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]], toImageButtonOptions: { format: "svg", filename: figure.name } });
    if (labels) label(node, figure);
    node.on("plotly_hover", (seen) => { const who = seen.points[0].data.legendgroup; if (who) highlight(who); });
    node.on("plotly_unhover", () => highlight(pinned));
    node.on("plotly_afterplot", () => shade(node));
    if (figure.focus.length) offerAll(node);
    shade(node);
  }
  // Names beside the ends of their lines, moved apart where they would meet; in a crowded plot those in focus alone.
  const ends = (figure) => figure.data.filter((trace) => trace.meta === "end" && (!figure.focus.length || figure.focus.includes(trace.name)));
  function label(node, figure) {
    const axis = node._fullLayout.yaxis;
    const places = ends(figure).map((trace) => {
      const at = trace.y.findLastIndex((value) => value !== null);
      return at < 0 ? null : { trace, y: axis.d2p(trace.y[at]) };
    }).filter((one) => one && one.y >= -4 && one.y <= axis._length + 4).sort((a, b) => a.y - b.y);
    const step = Math.min(15, axis._length / Math.max(1, places.length));
    places.forEach((one, i) => { one.at = i ? Math.max(one.y, places[i - 1].at + step) : one.y; });
    for (let i = places.length - 1, most = axis._length; i >= 0; i -= 1, most -= step) places[i].at = Math.min(places[i].at, most);
    const short = (text) => (text.length > 26 ? `${text.slice(0, 25)}…` : text);
    const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
    const told = places.map(({ trace, at }) => ({ xref: "paper", x: 1, xanchor: "left", xshift: 6, yref: "paper",
      y: 1 - at / axis._length, yanchor: "middle", showarrow: false, text: escaped(short(trace.name)), font: { color: trace.line.color, size: 12 }, name: trace.name }));
    Plotly.relayout(node, { annotations: [...(figure.layout.annotations || []), ...told] });
  }
  // One strategy at a time: pointed at in a figure or a table, or kept by a click on its row.
  let pinned = "";
  let marked = "";
  function shade(node) {
    const figure = figures[node.dataset.figure];
    if (!figure) return;
    const chosen = marked || pinned;
    const focus = node.dataset.all ? [] : figure.focus;
    const names = new Set(figure.data.map((trace) => trace.legendgroup));
    node.querySelectorAll(".scatterlayer .trace").forEach((line) => {
      const who = line.__data__ && line.__data__[0] && line.__data__[0].trace ? line.__data__[0].trace.legendgroup : "";
      const seen = chosen && names.has(chosen) ? who === chosen || !who : !focus.length || focus.includes(who) || !names.has(who);
      line.style.opacity = seen ? "" : chosen ? "0.12" : "0.14";
      line.dataset.seen = String(Boolean(seen));
      line.querySelectorAll(".js-fill").forEach((band) => { band.style.visibility = seen ? "" : "hidden"; });  // thirty faint bands are mud
    });
  }
  function highlight(who) {
    marked = who;
    document.querySelectorAll(".plot[data-drawn]").forEach(shade);
    document.querySelectorAll("tr[data-strategy]").forEach((row) => row.classList.toggle("marked", Boolean(who) && row.dataset.strategy === who));
  }
  function offerAll(node) {
    const figure = figures[node.dataset.figure];
    const button = document.createElement("button");
    const say = () => { button.textContent = node.dataset.all ? "Best and baseline" : "All alike"; };
    button.type = "button";
    button.className = "focus";
    button.title = `In front at first: ${figure.focus.join(", ")}. Point at a row or a line to see another.`;
    button.addEventListener("click", () => { if (node.dataset.all) delete node.dataset.all; else node.dataset.all = "yes"; say(); shade(node); });
    say();
    node.after(button);
  }
  document.querySelectorAll("tr[data-strategy]").forEach((row) => {
    const who = row.dataset.strategy;
    ["mouseenter", "focusin"].forEach((what) => row.addEventListener(what, () => highlight(who)));
    ["mouseleave", "focusout"].forEach((what) => row.addEventListener(what, () => highlight(pinned)));
    row.addEventListener("click", (event) => { if (event.target.closest("a")) return; pinned = pinned === who ? "" : who; highlight(pinned); });
  });
  const near = new IntersectionObserver((seen) => seen.forEach((one) => { if (one.isIntersecting) draw(one.target); }), { rootMargin: "600px" });
  document.querySelectorAll(".plot").forEach((node) => near.observe(node));
  const waiting = [...document.querySelectorAll(".plot")];
  const next = async () => { if (waiting.length) { await draw(waiting.shift()); setTimeout(next, 15); } };
  addEventListener("load", () => setTimeout(next, 50));
  // What is folded away is drawn when it opens; a link into it opens it, and so does printing.
  const folds = [...document.querySelectorAll("details")];
  folds.forEach((fold) => fold.addEventListener("toggle", () => { if (fold.open) fold.querySelectorAll(".plot").forEach(draw); }));
  const unfold = () => { for (let at = document.getElementById(location.hash.slice(1)); at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true; };
  addEventListener("hashchange", unfold);
  unfold();
  const PAPER = { width: 640, height: 800, type: 8.67 };  // pixels: of a page, of a figure with its caption on it, of a table's letters
  let folded = [];
  addEventListener("beforeprint", () => { folded = folds.filter((fold) => !fold.open); folded.forEach((fold) => { fold.open = true; }); });
  addEventListener("afterprint", () => folded.forEach((fold) => { fold.open = false; }));
  addEventListener("beforeprint", () => { root.dataset.before = root.dataset.theme; root.dataset.theme = "light";
    document.querySelectorAll(".scroll table").forEach((table) => {  // what is wider than the paper is set smaller, in the ratio of its type on screen
      const size = parseFloat(getComputedStyle(table).fontSize);
      table.style.setProperty("--shrink", Math.min(1, PAPER.width * size / (PAPER.type * Math.max(1, table.scrollWidth))));
    });
    const all = () => { showTheme(); document.querySelectorAll(".plot[data-drawn]").forEach((node) => Plotly.relayout(node, { width: 620, height: Math.min(node._fullLayout.height, PAPER.height), autosize: false })); };
    Promise.all([...document.querySelectorAll(".plot")].map(draw)).then(all); if (window.Plotly) all(); });
  addEventListener("afterprint", () => { root.dataset.theme = root.dataset.before || "auto"; showTheme();
    document.querySelectorAll(".plot[data-drawn]").forEach((node) => Plotly.relayout(node, { width: null, height: figures[node.dataset.figure].layout.height || null, autosize: true })); });

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
    const table = [...document.querySelectorAll("script[data-table]")].find((one) => one.dataset.table === name);
    if (!table) { button.disabled = true; button.title = `too large for this page; ${name} lies beside it`; return; }
    button.addEventListener("click", async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([await unpack(table)], { type: "text/csv" }));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  });

  // Wide tables say that they go on to the side.
  const wide = [...document.querySelectorAll(".scroll")];
  const edges = (box) => {
    box.classList.toggle("more-right", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
    box.classList.toggle("more-left", box.scrollLeft > 2);
  };
  const resized = new ResizeObserver((seen) => seen.forEach((one) => edges(one.target.closest(".scroll"))));
  wide.forEach((box) => { resized.observe(box); if (box.firstElementChild) resized.observe(box.firstElementChild); box.addEventListener("scroll", () => edges(box), { passive: true }); edges(box); });

  // The table of runs, a hundred rows at a time, and the page of one run: drawn from columns when they are come to.
  const element = (id) => document.getElementById(id);
  const made = (tag, text, attributes = {}) => { const node = document.createElement(tag); if (text !== undefined) node.textContent = text; Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value)); return node; };
  const HEADS = [["run", "id"], ["strategy", "strategy"], ["problem", "problem"], ["seed", "seed"], ["result", "result"], ["validation", "validation"], ["ended", "status"], ["because", "ended"], ["evaluations", "evaluations"], ["seconds", "seconds"]];
  const WORDS = new Set(["id", "strategy", "problem", "status", "ended"]);
  let runs;
  let order = { key: "", ascending: true };
  let most = 100;
  const shownOf = (key, i) => { const value = runs.columns[key][i]; return key === "strategy" ? runs.strategies[value] : key === "problem" ? runs.problems[value] : value; };
  function matching() {
    const [strategy, problem, status] = ["strategy", "problem", "status"].map((key) => element(`run-${key}`).value);
    const words = element("run-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = runs.columns.id.map((_, i) => i).filter((i) => (!strategy || shownOf("strategy", i) === strategy) && (!problem || shownOf("problem", i) === problem) && (!status || runs.columns.status[i] === status));
    const kept = words.length ? found.filter((i) => { const text = HEADS.map(([, key]) => shownOf(key, i)).join(" ").toLowerCase(); return words.every((word) => text.includes(word)); }) : found;
    if (order.key) {
      const sign = order.ascending ? 1 : -1;
      kept.sort((a, b) => { const [x, y] = [shownOf(order.key, a), shownOf(order.key, b)]; if (x === null || y === null) return (x === null) - (y === null) || a - b; return sign * (typeof x === "number" ? x - y : String(x).localeCompare(String(y))) || a - b; });
    }
    return kept;
  }
  function showRuns() {
    const found = matching();
    const several = runs.problems.length > 1;
    const heads = HEADS.filter(([, key]) => several || key !== "problem");
    const body = element("run-table").tBodies[0];
    body.replaceChildren(...found.slice(0, most).map((i) => {
      const row = made("tr", undefined, runs.columns.status[i] === "ok" ? {} : { class: "failed" });
      heads.forEach(([, key]) => {
        const value = shownOf(key, i);
        const cell = made("td", undefined, { class: WORDS.has(key) ? "" : "num" });
        if (key === "id") cell.append(made("a", value, { href: `#run=${encodeURIComponent(value)}` })); else cell.textContent = value === null ? "–" : key === "result" || key === "validation" ? Number(value.toPrecision(4)) : value;
        row.append(cell);
      });
      return row;
    }));
    element("run-count").textContent = `${found.length} of ${runs.columns.id.length} runs${found.length > most ? `, the first ${most} shown` : ""}`;
    element("run-more").hidden = found.length <= most;
    const settings = runs.settings[element("run-strategy").value];
    element("run-settings").hidden = !settings;
    element("run-settings").textContent = settings ? `${element("run-strategy").value} in the study: ${settings}` : "";
    edges(element("run-table").parentElement);
  }
  function option(select, names) { select.append(...names.map((name) => made("option", name, { value: name }))); }
  let coming;
  function readRuns() {
    coming = coming || unpack(data("runs")).then((text) => {
      runs = JSON.parse(text);
      option(element("run-strategy"), runs.strategies);
      option(element("run-problem"), runs.problems);
      option(element("run-status"), [...new Set(runs.columns.status)].sort());
      element("run-problem").parentElement.hidden = runs.problems.length < 2;
      const heads = element("run-table").tHead.rows[0];
      HEADS.filter(([, key]) => runs.problems.length > 1 || key !== "problem").forEach(([title, key]) => {
        const shown = key === "result" && runs.problems.length === 1 ? runs.metrics[0] : title;
        const head = made("th", undefined, { scope: "col", class: WORDS.has(key) ? "" : "num" });
        const button = made("button", shown, { type: "button" });
        button.addEventListener("click", () => { order = { key, ascending: order.key !== key || !order.ascending }; [...heads.cells].forEach((cell) => cell.removeAttribute("aria-sort")); head.setAttribute("aria-sort", order.ascending ? "ascending" : "descending"); showRuns(); });
        head.append(button);
        heads.append(head);
      });
      ["run-strategy", "run-problem", "run-status"].forEach((id) => element(id).addEventListener("change", () => { most = 100; showRuns(); }));
      element("run-filter").addEventListener("input", () => { most = 100; showRuns(); });
      element("run-more").addEventListener("click", () => { most += 400; showRuns(); });
      showRuns();
    });
    return coming;
  }
  document.querySelectorAll("a[data-runs-of]").forEach((link) => link.addEventListener("click", async () => {
    await readRuns();
    element("run-strategy").value = link.dataset.runsOf;
    element("run-problem").value = runs.problems.length > 1 ? link.dataset.problem : "";
    element("run-status").value = "";
    element("run-filter").value = "";
    showRuns();
  }));
  async function plotted(place, title, traces, axis, value) {
    await library();
    const node = made("div", undefined, { class: "plot run-plot", role: "img", "aria-label": title });
    place.append(made("h4", title), node);
    const own = getComputedStyle(root);
    const of = (name) => own.getPropertyValue(name).trim();
    await Plotly.newPlot(node, traces, { height: 280, margin: { l: 60, r: 14, t: 8, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: of("--ink"), size: 12 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      xaxis: { title: { text: axis }, gridcolor: of("--line"), automargin: true, zeroline: false }, yaxis: { title: { text: value }, gridcolor: of("--line"), automargin: true } }, { responsive: true, displayModeBar: false });
  }
  async function showRun(id) {
    await readRuns();
    const place = element("run");
    const i = runs.columns.id.indexOf(id);
    place.hidden = false;
    place.replaceChildren(made("h3", `Run ${id}`));
    if (i < 0) { place.append(made("p", "There is no such run in this study.")); return; }
    const metric = runs.metrics[runs.columns.problem[i]];
    const number = (value) => (value === null ? "–" : String(value));
    const facts = [["strategy", shownOf("strategy", i)], ["problem", shownOf("problem", i)], ["seed", runs.columns.seed[i]], ["ended", `${runs.columns.status[i]} (${runs.columns.ended[i]})`], [metric, number(runs.columns.result[i])], ["validation of what was handed over", number(runs.columns.validation[i])]];
    let detail = runs.details[id];
    if (!detail && document.body.dataset.live) {
      const came = await fetch(`run?id=${encodeURIComponent(id)}`).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
      if (came && came.detail) { detail = runs.details[id] = came.detail; Object.assign(runs.cells, came.cells); }
    }
    const list = made("dl", undefined, { class: "facts" });
    [...facts, ...Object.entries(detail ? detail.facts : {})].forEach(([name, value]) => list.append(made("dt", name), made("dd", value)));
    const command = `${runs.command} ${/^[\w@%+=:,./-]+$/.test(id) ? id : `'${id.replace(/'/g, "'\"'\"'")}'`}`;
    const again = made("p", "Run it again and compare, trial by trial: ");
    again.append(made("code", command));
    const neighbours = made("p", undefined, { class: "tools" });
    const list_of = matching();
    const at = list_of.indexOf(i);
    [["← previous", list_of[at - 1]], ["next →", at < 0 ? undefined : list_of[at + 1]]].forEach(([text, other]) => { if (other !== undefined) neighbours.append(made("a", text, { href: `#run=${encodeURIComponent(runs.columns.id[other])}` })); });
    neighbours.append(made("a", "all runs", { href: "#runs" }));
    place.append(neighbours, list, again);
    if (!detail) place.append(made("p", "This page holds the trials of the best, middle and worst run of every strategy and of failed ones; those of this run are in the store: `searchbench serve` shows them.", { class: "sub" }));
    if (detail && detail.failure) { place.append(made("h4", "Traceback"), made("pre", detail.failure)); }
    if (detail && runs.cells[detail.cell]) { const figure = made("figure"); figure.innerHTML = runs.cells[detail.cell]; figure.append(made("figcaption", `${detail.cell}: ${metric} ${number(runs.columns.result[i])}`)); place.append(made("h4", "What it handed over"), figure); }
    place.scrollIntoView({ block: "start" });
    place.focus({ preventScroll: true });
    if (detail && detail.trials.number) {
      const { number: x, value, best, what, of, failed } = detail.trials;
      const title = `Trials: ${of}${x.length < of ? `, ${x.length} of them drawn` : ""}${failed ? `, ${failed} failed` : ""}`;
      await plotted(place, title, [{ x, y: value, text: what.length ? x.map((n) => what[n - 1]) : null, mode: "markers", type: "scatter", name: "trial", marker: { color: "#56B4E9", size: 6 } }, { x, y: best, mode: "lines", type: "scatter", name: "incumbent", line: { shape: "hv", color: "#D55E00" } }], "trial", "validation");
    }
    for (const [name, y] of Object.entries(detail ? detail.log : {})) await plotted(place, `Logged: ${name}`, [{ y, mode: "lines", type: "scatter", name }], "line of the log", name);
  }
  const come = () => { const at = location.hash; if (at.startsWith("#run=")) showRun(decodeURIComponent(at.slice(5))); else if (at === "#runs") element("run").hidden = true; };
  addEventListener("hashchange", come);
  new IntersectionObserver((seen) => seen.forEach((one) => { if (one.isIntersecting) readRuns(); }), { rootMargin: "400px" }).observe(element("runs"));
  come();

  // Served, the page follows its study: how far it is, what failed, and itself anew when there is more.
  const live = element("live");
  if (live) {
    let stamp;
    const follow = async () => {
      const seen = await fetch("progress").then((answer) => answer.json()).catch(() => null);
      const [bar, said, failures] = ["progress", "span", "ul"].map((tag) => live.querySelector(tag));
      if (!seen) { said.textContent = "the server is gone; what stands here is what it last said"; return; }
      bar.max = Math.max(1, seen.planned);
      bar.value = seen.done + seen.failed;
      said.textContent = `${seen.done + seen.failed} of ${seen.planned} runs${seen.failed ? `, ${seen.failed} without a result` : ""}${seen.waiting ? `, ${seen.waiting} searched and not yet judged` : ""}${seen.missing ? "" : ": complete"}`;
      failures.replaceChildren(...seen.failures.map((one) => { const item = made("li"); item.append(made("a", one.who, { href: `#run=${encodeURIComponent(one.id)}` }), `: ${one.message}`); return item; }));
      if (stamp !== undefined && stamp !== seen.stamp) location.reload();
      stamp = seen.stamp;
    };
    follow();
    setInterval(follow, 4000);
  }
  showTheme();
})();
