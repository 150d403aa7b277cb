-- SPDX-License-Identifier: MIT
--- The look of every page of ours, inline, since nothing is loaded from elsewhere. Light or dark, as the browser asks for.

return [[
:root{color-scheme:light dark;--text:#1d2733;--soft:#5d6b7a;--line:#dde3ea;--card:#fff;--back:#f4f6f9;--link:#0b62c4;
--good:#1d7a4c;--goodback:#e0f3e8;--warn:#8a5a00;--warnback:#fdf0d2;--bad:#b3261e;--badback:#fbe4e2}
@media(prefers-color-scheme:dark){:root{--text:#e4e9ef;--soft:#9aa7b5;--line:#313b47;--card:#1c242d;--back:#12181f;--link:#6cb0ff;
--good:#6fd6a0;--goodback:#15382a;--warn:#f0c060;--warnback:#3b2e10;--bad:#ff8f86;--badback:#43201d}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,"DejaVu Sans",sans-serif;margin:0;padding:2.5rem 1rem;color:var(--text);background:var(--back)}
main{max-width:36rem;margin:0 auto}main.wide{max-width:62rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .75rem}h2{font-size:1.05rem;margin:0 0 .6rem}
p{margin:.5rem 0}a{color:var(--link)}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.1rem 1.3rem;margin:0 0 1rem}
code{font:.9em ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
button,.button{display:inline-block;font:inherit;border:0;border-radius:6px;padding:.45rem 1.1rem;background:var(--link);color:var(--card);
text-decoration:none;cursor:pointer}
table{border-collapse:collapse;width:100%;font-size:.9rem}.scroll{overflow-x:auto}
th{color:var(--soft);font-weight:500;font-size:.8rem}td,th{text-align:left;padding:.35rem .9rem .35rem 0;border-top:1px solid var(--line);
white-space:nowrap}tr:first-child th{border-top:0}td.number,th.number{text-align:right}
.soft{color:var(--soft);font-size:.85rem}
.pill{border-radius:99px;padding:.1rem .6rem;font-size:.82rem;background:var(--back)}
.good{color:var(--good);background:var(--goodback)}.warn{color:var(--warn);background:var(--warnback)}
.bad{color:var(--bad);background:var(--badback)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:1rem;margin:1rem 0}.cards section{margin:0}
.cards b{display:block;font-size:1.7rem;line-height:1.2;font-weight:600}
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}svg line{stroke:var(--line)}
@media(max-width:40rem){body{padding:1.2rem .8rem}.cards{grid-template-columns:1fr 1fr;gap:.7rem}section{padding:.9rem 1rem}
svg text{font-size:20px}}
svg .ok{fill:var(--good)}svg .failed{fill:var(--bad)}
]]
