"""The page: its look, and its parts in their order. Nothing is fetched, and no script runs."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.train.report.html import Html, element, joined

# The policy forbids every script and every connection, whatever the page holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

STYLE = Html("""
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #66666c; --rule: #d9d9de; --paper: #fff;
  --tint: #f4f4f6; --right: #2a8f5a; --wrong: #c8322b; --c0: #2563a8; --c1: #d1541b; --c2: #1f8a62;
  --c3: #b04a9b; --c4: #b98900; --c5: #3a9bc4; --c6: #7a5230; --c7: #6b6b70; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ec; --soft: #a0a0a8; --rule: #3a3a40;
  --paper: #17171a; --tint: #222226; --c0: #6aa6e8; --c1: #f08a55; --c2: #52c498; --c3: #dd8acb;
  --c4: #e0b840; --c5: #74c6ea; --c6: #bb9068; --c7: #a8a8ae; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --rule: #bbb; --paper: #fff;
  --tint: #f4f4f6; --c0: #2563a8; --c1: #d1541b; --c2: #1f8a62; --c3: #b04a9b; --c4: #b98900;
  --c5: #3a9bc4; --c6: #7a5230; --c7: #6b6b70; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  nav { display: none; } section { break-inside: auto; } figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; } .wide { overflow: visible !important; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem;
  border-top: 1px solid var(--rule); padding-top: 1rem; }
nav { font-size: .85rem; margin: .8rem 0; } nav a { margin-right: .9rem; color: var(--c0);
  white-space: nowrap; text-decoration: none; display: inline-block; }
p { margin: .4rem 0; max-width: 46rem; } .note { color: var(--soft); font-size: .85rem; }
.headline { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: 1rem 0; }
.headline div { font-size: .8rem; color: var(--soft); } .headline b { display: block;
  font-size: 1.5rem; font-weight: 600; color: var(--ink); line-height: 1.2; }
.wide { overflow-x: auto; margin: .6rem 0; } table { border-collapse: collapse; font-size: .85rem;
  font-variant-numeric: tabular-nums; } th { text-align: left; font-weight: 600; }
td, th { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
thead th { color: var(--soft); font-weight: 500; } .n { text-align: right; white-space: nowrap; }
.wide td, .wide th { overflow-wrap: normal; } td { min-width: 2.5rem; }
.facts th { font-weight: 400; color: var(--soft); min-width: 11rem; } .facts td {
  overflow-wrap: anywhere; } tr.marked td { font-weight: 600; background: var(--tint); }
.matrix td { text-align: center; padding: .25rem .4rem; min-width: 2rem; border: 0; }
.matrix th { border: 0; padding: .2rem .5rem; font-weight: 500; text-align: right; }
.matrix thead th { text-align: center; } .matrix thead th:first-child { font-size: .75rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr));
  gap: 1rem; } figure { margin: .5rem 0; min-width: 0; } figcaption { font-size: .85rem;
  font-weight: 600; } .figures figure { max-width: 30rem; } .whole { max-width: 46rem; }
svg { width: 100%; height: auto; display: block; } svg text { font: 11px system-ui, sans-serif;
  fill: var(--soft); } .grid { stroke: var(--rule); stroke-width: .6; } .axis {
  stroke: var(--soft); stroke-width: 1; fill: none; } .line { fill: none; stroke-width: 1.6;
  stroke-linejoin: round; } .dots { stroke: var(--c0); stroke-width: 4; stroke-linecap: round;
  opacity: .45; fill: none; } .dash { stroke: var(--soft); stroke-dasharray: 4 3; fill: none; }
.bar { fill: var(--c0); opacity: .8; } .legend { list-style: none; padding: 0; margin: .2rem 0;
  font-size: .78rem; display: flex; flex-wrap: wrap; gap: .1rem .9rem; color: var(--soft); }
.legend i { display: inline-block; width: .9rem; height: .25rem; margin-right: .35rem;
  vertical-align: middle; } .bars { width: 100%; } .bars th { width: 30%; font-weight: 400; }
.lying { width: 45%; } .lying span { display: block; background: var(--c0); opacity: .8;
  min-width: 1px; } .pixels { width: min(100%, 16rem); image-rendering: pixelated;
  border: 1px solid var(--rule); } pre { overflow-x: auto; background: var(--tint); padding: .7rem;
  font-size: .78rem; } summary { cursor: pointer; color: var(--c0); margin: .6rem 0; }
""")


def page(title: str, top: Sequence[Html], parts: Sequence[tuple[str, Html]]) -> str:
    """The whole text of the file: `top`, then each part under its heading."""
    links = (element("a", name, href=f"#part{k}") for k, (name, _) in enumerate(parts))
    sections = (element("section", element("h2", name, id=f"part{k}"), body)
                for k, (name, body) in enumerate(parts))  # fmt: skip
    head = element(
        "head", element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title), element("style", STYLE),
    )  # fmt: skip
    body = element("body", element("h1", title), *top, element("nav", *links), *sections)
    return f"<!doctype html>\n{element('html', joined([head, body]), lang='en')}\n"
