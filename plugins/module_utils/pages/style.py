"""How pages look: on a screen of any width, light and dark, and on paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f3f4f7; --card: #ffffff; --ink: #1b1f27; --soft: #535c6b; --line: #dfe3ea; --code: #f3f4f7;
  --good: #11704a; --warn: #8a5300; --bad: #b3261e; --calm: #2a5bb5;
  --bar: #3d6fd0; --band: #fad7d2; --tint: 8%;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151b; --card: #1b2029; --ink: #e8ebf0; --soft: #a5aebd; --line: #323a48; --code: #12151b;
    --good: #5fd3a2; --warn: #f0b35a; --bad: #ff9a91; --calm: #8fb4ff;
    --bar: #7aa5f5; --band: #55302f; --tint: 12%;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: clamp(12px, 3vw, 40px); max-width: 960px;
  background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
.good { --tone: var(--good); } .warn { --tone: var(--warn); }
.bad { --tone: var(--bad); } .calm { --tone: var(--calm); }

header, section {
  background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: clamp(16px, 3vw, 28px); margin: 0 0 16px;
}
header { overflow: hidden; box-shadow: inset 0 6px var(--tone); }
h1 {
  margin: 2px 0 6px; font-size: clamp(26px, 5vw, 38px); line-height: 1.15; letter-spacing: -0.02em;
}
h2 { margin: 0 0 14px; font-size: 19px; letter-spacing: -0.01em; }
p { margin: 0 0 10px; white-space: pre-line; }
p:last-child, ul:last-child, ol:last-child { margin-bottom: 0; }
.subject { margin: 0; color: var(--soft); font-size: 14px; font-weight: 600; }
.verdict { font-size: 18px; color: var(--tone); font-weight: 600; }
ul, ol { margin: 0 0 10px; padding-left: 1.5em; }
li { margin: 3px 0; }

dl { margin: 0 0 14px; }
dl:last-child { margin-bottom: 0; }
dd { margin: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 10px; }
.figures div { background: var(--page); border-radius: 10px; padding: 12px 14px; }
.figures dd {
  font-size: 25px; font-weight: 650; line-height: 1.2; letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums;
}
.figures dt { color: var(--soft); font-size: 14px; }
.facts div { display: grid; grid-template-columns: 11em 1fr; gap: 0 16px; padding: 7px 0; }
.facts div + div { border-top: 1px solid var(--line); }
.facts dt { color: var(--soft); }

table { width: 100%; border-collapse: collapse; font-size: 15px; margin: 0 0 14px; }
table:last-child { margin-bottom: 0; }
th, td { padding: 6px 10px 6px 0; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
td { min-width: 4.6em; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; font-size: 14px; }
tbody th { font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; }

pre {
  margin: 0 0 14px; padding: 12px 14px; border-radius: 10px; background: var(--code);
  border: 1px solid var(--line); white-space: pre-wrap;
}
pre:last-child { margin-bottom: 0; }
code { font: 14px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }

.notice {
  border-left: 4px solid var(--tone); border-radius: 4px 10px 10px 4px; padding: 10px 14px; margin: 0 0 10px;
  background: color-mix(in srgb, var(--tone) var(--tint), var(--card));
}
.notice:last-child { margin-bottom: 0; }
.notice p { margin-bottom: 4px; }
.label {
  display: inline-block; margin-right: 8px; color: var(--tone);
  font-size: 12px; font-weight: 700; letter-spacing: 0.06em; text-transform: uppercase;
}

svg { display: block; margin: 0 0 14px; overflow: visible; }
svg:last-child { margin-bottom: 0; }
svg text { fill: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
svg .name { fill: var(--ink); font-weight: 600; }
.tick { stroke: var(--line); }
.bar { fill: var(--bar); stroke: var(--bar); stroke-width: 1.5; stroke-linejoin: round; }
.failed { fill: var(--bad); stroke: var(--bad); }
.band { fill: var(--band); }
.legend { color: var(--soft); font-size: 14px; }
.swatch {
  display: inline-block; width: 12px; height: 12px; margin-right: 8px; border-radius: 3px;
  background: var(--band);
}

footer { color: var(--soft); font-size: 13px; padding: 0 4px; }

@media (max-width: 560px) {
  .facts div { grid-template-columns: 1fr; }
  table { font-size: 14px; }
  .stacked thead { display: none; }
  .stacked :is(tbody, tr, th, td) { display: block; border: 0; padding: 2px 0; }
  .stacked tr { padding: 8px 0; }
  .stacked tr + tr { border-top: 1px solid var(--line); }
  .stacked th { font-weight: 600; }
  .stacked td::before { content: attr(data-label) " "; color: var(--soft); }
}
@media print {
  :root {
    color-scheme: light;
    --page: #ffffff; --card: #ffffff; --ink: #000000; --soft: #444444; --line: #cccccc; --code: #ffffff;
    --good: #11704a; --warn: #8a5300; --bad: #b3261e; --calm: #2a5bb5; --bar: #3d6fd0; --band: #fad7d2;
  }
  @page { margin: 16mm; }
  body { padding: 0; max-width: none; font-size: 11pt; }
  body { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  body { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  header, section { border-radius: 0; border-width: 0 0 1px; padding: 4mm 0; margin: 0; }
  header { box-shadow: none; border-top: 2mm solid var(--tone); }
  .figures div { border: 1px solid var(--line); }
  h2 { break-after: avoid; }
  tr, .notice, .facts div, .figures, svg, pre { break-inside: avoid; }
}
"""
