// How a report looks: light or dark as the reader's system is, in one column on a phone, and on paper.
#pragma once

#include <string_view>

namespace program::report {

inline constexpr std::string_view style = R"(:root {
  --ground: #fff; --panel: #f4f6f8; --text: #1b2129; --soft: #56616d; --line: #d5dbe1;
  --first: #1f5fa8; --second: #b04a12; --good: #1a7343; --bad: #b3261e;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #13171c; --panel: #1c2229; --text: #e7ebef; --soft: #a3aeb9; --line: #37404a;
    --first: #7db6f2; --second: #f3a771; --good: #74d6a0; --bad: #ff958d;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 0 0 .6rem; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; }
a { color: var(--first); }
code { font: .92em ui-monospace, "DejaVu Sans Mono", monospace; }
pre {
  background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem;
  white-space: pre-wrap; margin: .6rem 0;
}
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem .9rem; margin: 1rem 0 0; padding: 0; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1.4rem; }
.soft { color: var(--soft); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(max(9.5rem, 22%), 1fr)); gap: .7rem; margin: 1.2rem 0 0; }
.tiles div {
  background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem;
  display: flex; flex-direction: column-reverse; justify-content: flex-end;
}
.tiles dt { color: var(--soft); font-size: .88rem; line-height: 1.3; }
.tiles dd { margin: 0; font-size: 1.5rem; font-weight: 650; line-height: 1.3; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1.2rem; }
.charts > div { min-width: 0; }
figure { margin: 0; }
figcaption { font-size: .88rem; color: var(--soft); line-height: 1.35; margin-top: .3rem; }
figcaption b { color: var(--text); font-weight: 600; }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem; margin: .8rem 0; }
.photos.small { grid-template-columns: repeat(auto-fill, minmax(5.5rem, 9rem)); gap: .7rem; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)); gap: 1rem; }
.side { display: flex; gap: .3rem; }
.side img { flex: 1 1 0; }
img { display: block; min-width: 0; width: 100%; height: auto; border-radius: .35rem; background: var(--panel); }
svg { display: block; width: 100%; height: auto; max-width: 34rem; }
svg text { fill: var(--soft); font: 13px system-ui, "Noto Sans", sans-serif; }
svg .grid { stroke: var(--line); }
svg .mark { stroke: var(--soft); stroke-dasharray: 2 3; }
svg .series-0 { stroke: var(--first); stroke-width: 2; }
svg .series-1 { stroke: var(--second); stroke-width: 2; stroke-dasharray: 6 3; }
svg text.series-0, svg text.series-1 { stroke: none; font-weight: 600; }
svg text.series-0 { fill: var(--first); }
svg text.series-1 { fill: var(--second); }
svg circle.series-0 { fill: var(--first); }
svg circle.series-1 { fill: var(--second); stroke-dasharray: none; }
svg .bar { fill: var(--first); opacity: .85; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; overflow-wrap: normal; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .22rem .7rem .22rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; min-width: 8rem; }
th { font-weight: 600; }
tbody th { font-weight: 500; min-width: 6.5rem; }
.number { text-align: right; padding: .22rem .35rem .22rem .7rem; white-space: nowrap; min-width: 0; }
.matrix td, .matrix thead th { text-align: center; min-width: 2.2rem; padding: .22rem .3rem; border: 1px solid var(--line); }
.matrix tbody th { white-space: nowrap; }
.matrix .none { color: var(--soft); }
.matrix abbr { text-decoration: none; }
details { margin: .3rem 0; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, details { display: none; }
  h2, h3, caption, thead { break-after: avoid; }
  figure, tr, .tiles div, .charts > div { break-inside: avoid; }
  .scroll { overflow: visible; }
  .photos { grid-template-columns: repeat(5, 1fr); }
  .pairs { grid-template-columns: repeat(3, 1fr); }
}
)";

}  // namespace program::report
