"""The style sheet of the quality report's page. Light and dark are two sets of the same variables.

Text and verdict colours keep a contrast of at least 4.5:1 on their backgrounds in both.
"""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#16202c;--soft:#536170;--line:#dfe4ea;
--good:#16703a;--good-soft:#e3f4e9;--warn:#8a5300;--warn-soft:#fdf0d9;--bad:#b3261e;--bad-soft:#fce8e6;
--plain:#3c6ea8;--limit:#16202c}
@media (prefers-color-scheme:dark){:root{--page:#0f141a;--card:#182029;--ink:#e8edf3;--soft:#a3b0be;--line:#2c3743;
--good:#5fce8a;--good-soft:#153524;--warn:#f2b84b;--warn-soft:#3b2c10;--bad:#ff8a80;--bad-soft:#431d1b;
--plain:#7fb2ee;--limit:#e8edf3}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);line-height:1.55;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:16px}
main{max-width:1120px;margin:0 auto;padding:40px 24px 96px}
h1{font-size:clamp(1.6rem,4vw,2.3rem);line-height:1.2;letter-spacing:-.015em;margin:4px 0 16px}
h2{font-size:1.3rem;letter-spacing:-.01em;margin:0 0 20px}
h2.small{font-size:.95rem;margin:28px 0 8px;color:var(--soft)}
h3{font-size:1rem;margin:0 0 4px}
section{margin-top:56px}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.875em}
code{overflow-wrap:anywhere}
small{display:block;color:var(--soft);font-size:.8125rem;font-weight:400}
.hero{background:var(--card);border:1px solid var(--line);border-left:6px solid var(--line);border-radius:12px;
padding:32px 36px}
.hero.good{border-left-color:var(--good)}.hero.warn{border-left-color:var(--warn)}
.hero.bad{border-left-color:var(--bad)}
.hero h1 .badge{font-size:.95rem;vertical-align:middle;letter-spacing:0}
.eyebrow{margin:0;color:var(--soft);font-size:.875rem;display:flex;flex-wrap:wrap;
justify-content:space-between;gap:4px 24px}
.model{margin:20px 0 0;color:var(--soft);font-weight:600;overflow-wrap:anywhere}
.why{margin:0;font-size:1.0625rem;max-width:76ch;overflow-wrap:anywhere}
.tried,.notes{margin:0;padding-left:20px}.tried li,.notes li{margin:8px 0;overflow-wrap:anywhere}
.badge,.tag{display:inline-block;border-radius:999px;padding:2px 11px;font-size:.8125rem;font-weight:600;
white-space:nowrap}
.badge.good{color:var(--good);background:var(--good-soft)}
.badge.warn{color:var(--warn);background:var(--warn-soft)}
.badge.bad{color:var(--bad);background:var(--bad-soft)}
.badge::before{content:"";display:inline-block;width:.55em;height:.55em;border-radius:50%;background:currentColor;
margin-right:.5em}
.tag{border:1px solid var(--line);color:var(--soft);padding:1px 9px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:16px;margin:16px 0 0}
.figures div{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 24px}
.figures dt{color:var(--soft);font-size:.875rem}
.figures dd{margin:4px 0 0;font-size:1.75rem;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.figures small{letter-spacing:0;margin-top:2px}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:12px}
.scroll:focus-visible{outline:2px solid var(--plain);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
th,td{padding:14px 18px;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--soft);font-size:.8125rem;font-weight:600;white-space:nowrap}
tbody th{font-weight:600;min-width:150px}
td.num,th.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:20px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:24px}
figcaption p{margin:0 0 16px;color:var(--soft);font-size:.875rem}
.chart{display:block;width:100%;height:auto;font-size:13px;font-variant-numeric:tabular-nums}
.chart text{fill:var(--ink);dominant-baseline:central}
.chart .label{text-anchor:end}
.chart .value{font-weight:600;text-anchor:end}
.chart .bar.good{fill:var(--good)}.chart .bar.warn{fill:var(--warn)}.chart .bar.bad{fill:var(--bad)}
.chart .bar.plain{fill:var(--plain)}
.chart .axis{stroke:var(--soft);stroke-width:1}
.chart .limit{stroke:var(--limit);stroke-width:1.5;stroke-dasharray:4 3}
.chart .limit-text{fill:var(--soft);font-size:12px}
.chart .notch{stroke:var(--card);stroke-width:2.5;fill:none}
article{margin-top:28px}
.prompt{margin:8px 0;padding:12px 18px;border-left:3px solid var(--plain);background:var(--card);
white-space:pre-wrap;overflow-wrap:anywhere}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;max-width:80ch}
.facts{margin:0 0 32px;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:8px 24px}
.facts div{display:grid;grid-template-columns:minmax(140px,220px) 1fr;gap:16px;padding:12px 0;
border-top:1px solid var(--line)}
.facts div:first-child{border-top:0}
.facts dt{color:var(--soft)}.facts dd{margin:0;overflow-wrap:anywhere}
@media (max-width:600px){main{padding:20px 14px 64px}.hero{padding:24px 20px}
.facts div{grid-template-columns:1fr;gap:2px}}
@media print{body{background:#fff}.hero,figure,article{break-inside:avoid}}
"""
