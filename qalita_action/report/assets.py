"""The style and the script of the HTML page. Constants: their hashes stand in the page's content policy,
  so a
byte changed here is a byte allowed there. Must not hold a value of a document."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1b2430; --dim: #5a6675;
  --line: #dde2e8;
  --bad: #b42318; --bad-soft: #fdecea; --doubtful: #8a5a00; --doubtful-soft: #fff5dc; --good: #18794e;
  --good-soft: #e7f6ee; --skip: #7a8699; --idle: #c3cad4; --link: #0b57d0; --code: #eef1f4 }
@media (prefers-color-scheme: dark) { :root { --page: #11161d; --card: #19202a; --text: #e6ebf1;
  --dim: #9aa7b6;
  --line: #2d3744; --bad: #ff8b7d; --bad-soft: #3a1d1b; --doubtful: #f2c45a; --doubtful-soft: #352a12;
  --good: #5fd39a; --good-soft: #14301f; --skip: #7d8a9b; --idle: #455161; --link: #8ab4f8;
  --code: #242d39 } }
* { box-sizing: border-box }
[hidden] { display: none !important }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, -apple-system,
  "Segoe UI",
  Roboto, "DejaVu Sans", sans-serif }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 60px }
h1, h2, h3, p, ul, ol, pre { margin: 0 }
h2 { font-size: 17px; margin: 30px 0 10px }
a { color: var(--link); text-decoration: none }
a:hover { text-decoration: underline }
code, pre { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace }
.dim { color: var(--dim) }
.verdict { display: flex; gap: 18px; align-items: center; padding: 18px 22px; border-radius: 12px;
  border: 1px solid currentColor; border-left-width: 8px }
.verdict + .verdict, .section { margin-top: 34px }
.verdict .mark { font-size: 34px; line-height: 1; font-weight: 700 }
.verdict .told { flex: 1; min-width: 0 }
.verdict h1 { font-size: 24px; line-height: 1.25; overflow-wrap: anywhere }
.verdict .about { color: var(--dim); overflow-wrap: anywhere }
.verdict .about b { color: var(--text) }
.verdict .score { text-align: right; white-space: nowrap; color: var(--text) }
.verdict .score b { display: block; font-size: 28px; line-height: 1.1 }
.bad { color: var(--bad) } .doubtful { color: var(--doubtful) } .good { color: var(--good) }
.verdict.bad { background: var(--bad-soft) } .verdict.doubtful { background: var(--doubtful-soft) }
.verdict.good { background: var(--good-soft) }
.section > .verdict h1 { font-size: 20px }
.notice { margin-top: 12px; padding: 10px 14px; border-radius: 8px; background: var(--doubtful-soft);
  color: var(--doubtful); font-weight: 600; overflow-wrap: anywhere }
.against { margin-top: 12px; color: var(--dim); overflow-wrap: anywhere }
.tag { font-size: 12px; font-weight: 700; padding: 1px 9px; border-radius: 999px; background: var(--code);
  color: var(--dim) }
.tag.new, .tag.worse { background: var(--bad); color: var(--card) }
.causes { list-style: none; padding: 0; display: grid; gap: 10px }
.cause { background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--doubtful);
  border-radius: 8px; padding: 12px 16px; overflow-wrap: anywhere }
.cause.high { border-left-color: var(--bad) }
.cause .what { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: baseline }
.cause .what b { font-size: 16px }
.cause .fact { font-weight: 600 }
.cause p, .cause pre, .cause ul { margin-top: 5px }
.cause ul { padding-left: 20px }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--code); border-radius: 6px;
  padding: 7px 10px;
  max-height: 240px; overflow: auto }
.next code { background: var(--code); border-radius: 6px; padding: 3px 8px; user-select: all }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px }
.bar { display: block; width: 100%; height: 14px; border-radius: 7px; background: var(--idle) }
.bar .passed { fill: var(--good) } .bar .warned { fill: var(--doubtful) }
.bar .failed, .bar .errored, .bar .unknown, .bar .vanished { fill: var(--bad) }
.bar .skipped { fill: var(--skip) } .bar .reused, .bar .not_run { fill: var(--idle) }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; margin: 10px 0 0; list-style: none }
.legend b { font-variant-numeric: tabular-nums }
.legend .none { color: var(--dim) }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px }
table { border-collapse: collapse; width: 100% }
.ledger { margin-top: 12px }
th { text-align: left; font-size: 13px; color: var(--dim); font-weight: 600; white-space: nowrap }
th, td { padding: 7px 12px; border-bottom: 1px solid var(--line); vertical-align: top }
tbody tr:last-child > * { border-bottom: 0 }
td { overflow-wrap: anywhere }
td .bar { height: 8px; margin-top: 7px }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;
  overflow-wrap: normal }
.status { white-space: nowrap; font-weight: 600 }
.s-failed, .s-errored, .s-unknown { color: var(--bad) } .s-warned { color: var(--doubtful) }
.s-passed { color: var(--good) } .s-skipped, .s-not_run, .s-reused { color: var(--dim) }
td .sub { color: var(--dim); font-size: 13px }
td pre { margin-top: 4px; max-height: 130px; font-size: 12px }
.name { min-width: 250px } .where { min-width: 150px } .owner { min-width: 110px }
.filters { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin-bottom: 10px }
.filters select, .filters input { font: inherit; color: inherit; background: var(--card); padding: 5px 8px;
  border: 1px solid var(--line); border-radius: 6px; max-width: 260px }
.more { padding: 9px 12px; color: var(--doubtful); font-weight: 600 }
.plain { padding-left: 20px; overflow-wrap: anywhere }
details > summary { cursor: pointer; font-weight: 600; margin-top: 26px }
details > *:not(summary) { margin-top: 10px }
footer { margin-top: 40px; color: var(--dim); font-size: 13px; overflow-wrap: anywhere }
@media (max-width: 700px) { .verdict { flex-wrap: wrap } .verdict .told { flex-basis: 70% } }
@media print { :root { color-scheme: light; --page: #fff; --card: #fff; --text: #000; --dim: #444;
  --line: #bbb;
  --bad: #a11; --bad-soft: #fff; --doubtful: #750; --doubtful-soft: #fff; --good: #164; --good-soft: #fff;
  --skip: #888; --idle: #ccc; --link: #000; --code: #f4f4f4 }
  body { font-size: 11px } main { max-width: none; padding: 0 } .filters { display: none }
  .scroll { overflow: visible } pre { max-height: none !important } .cause, tr { break-inside: avoid }
  .bar { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
"""

SCRIPT = """
"use strict";
for (const box of document.querySelectorAll("[data-checks]")) {
  const rows = Array.from(box.querySelectorAll("tbody tr"));
  const form = document.createElement("form");
  form.className = "filters";
  const shown = document.createElement("output");
  shown.className = "dim";
  const wanted = { text: "" };
  const apply = () => {
    let count = 0;
    for (const row of rows) {
      row.hidden = !Object.entries(wanted).every(([key, value]) => !value ||
        (key === "text" ? row.textContent.toLowerCase().includes(value) : row.dataset[key] === value));
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = count + " of " + rows.length + " shown";
  };
  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = "Search checks";
  search.setAttribute("aria-label", "Search checks");
  search.addEventListener("input", () => { wanted.text = search.value.trim().toLowerCase(); apply(); });
  form.append(search);
  for (const key of ["status", "dataset", "owner"]) {
    const values = Array.from(new Set(rows.map((row) => row.dataset[key]))).filter(Boolean);
    if (values.length < 2) continue;
    if (key !== "status") values.sort();
    const select = document.createElement("select");
    select.setAttribute("aria-label", key);
    select.add(new Option("any " + key, ""));
    for (const value of values) select.add(new Option(value, value));
    select.addEventListener("change", () => { wanted[key] = select.value; apply(); });
    form.append(select);
  }
  form.append(shown);
  form.addEventListener("submit", (event) => event.preventDefault());
  box.prepend(form);
  apply();
}
"""
