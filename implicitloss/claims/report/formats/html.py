"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from implicitloss.claims.report import wording
from implicitloss.claims.report.run import Run
from implicitloss.claims.verdict import Evidence, Outcome, Verdict
from implicitloss.formats import html

__all__ = ["to_html"]

HELP = "write the report to FILE as one HTML page too; with -, print it in place of the text"

# Blue, teal, vermilion and amber are told apart by colour-blind readers too; each badge also has a mark and a word.
_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2127;--dim:#545d68;--line:#d3d9df;--panel:#f5f7f9;--on:#fff;
--blue:#00548f;--teal:#006357;--red:#a63100;--amber:#805300;--teal-soft:#daf1ec;--amber-soft:#fff1cc}
@media(prefers-color-scheme:dark){:root{--bg:#11161b;--fg:#e4e8ec;--dim:#a3afba;--line:#343c45;--panel:#1a2128;--on:#10151a;
--blue:#80c2f5;--teal:#5fcdb9;--red:#ff9b70;--amber:#ffcf66;--teal-soft:#0f3832;--amber-soft:#3a2d06}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem clamp(.75rem,3vw,2.5rem) 4rem;max-width:76rem;background:var(--bg);color:var(--fg);
font:1rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.65rem;line-height:1.25;margin:.25rem 0 .5rem}h2{font-size:1.2rem;margin:2.25rem 0 .6rem}
h3{font-size:.95rem;margin:1.1rem 0 .35rem}h2 small,.dim,dt{font-weight:400;color:var(--dim)}
p{margin:.4rem 0;max-width:75ch}code{font:.88em/1.5 ui-monospace,monospace}
.conclusion{font-size:1.15rem;font-weight:600;padding-left:.75rem;border-left:.35rem solid var(--red)}
.conclusion.good{border-color:var(--teal)}
.tally{display:flex;flex-wrap:wrap;gap:.6rem;list-style:none;margin:1rem 0;padding:0}
.tally li,details,.scroll,.command{border:1px solid var(--line);border-radius:.5rem}
.tally li{padding:.4rem .7rem}.tally b{font-size:1.15rem;padding-left:.25rem}
.badge{white-space:nowrap;border:1px solid;border-radius:.35rem;padding:.1rem .45rem;font-size:.82rem;font-weight:600}
.proved,.exact,.refuted{color:var(--on)}.proved{background:var(--blue);border-color:var(--blue)}
.exact{background:var(--teal);border-color:var(--teal)}.refuted{background:var(--red);border-color:var(--red)}
.supported{background:var(--teal-soft);color:var(--teal)}.plain,.not-tried{color:var(--dim)}
.inconclusive,.no-power{background:var(--amber-soft);color:var(--amber);border-style:dashed}
details{margin:.5rem 0}details.failed{border-left:.35rem solid var(--red)}
summary{display:grid;grid-template-columns:8.5rem minmax(0,1fr) auto;gap:.15rem .75rem;align-items:baseline;
padding:.55rem .8rem;cursor:pointer;border-radius:.5rem}summary::-webkit-details-marker{display:none}
summary:hover{background:var(--panel)}:focus-visible{outline:3px solid var(--blue);outline-offset:1px}
.id::before{content:"\\25B8\\00A0";color:var(--dim)}details[open] .id::before{content:"\\25BE\\00A0"}
.statement{grid-column:2/-1}.body{padding:.1rem .8rem .9rem}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1rem;margin:.5rem 0}dd,td dl{margin:0}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .7rem}tr+tr td{border-top:1px solid var(--line)}
th{background:var(--panel);font-weight:600}.outcome,.work{white-space:nowrap;width:1%}
.witness,.near-miss{width:20%;min-width:10rem}.numbers{min-width:19rem}
.command{display:block;background:var(--panel);padding:.4rem .6rem}
@media(max-width:40rem){summary{grid-template-columns:minmax(0,1fr) auto}.id,.statement{grid-column:1/-1}
.aside{grid-row:1;grid-column:2}.body>dl,footer dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.2rem}
table,tbody,tr,td{display:block;width:auto!important;min-width:0!important}thead{display:none}
tr{padding:.3rem 0}tr+tr{border-top:1px solid var(--line)}tr+tr td{border:0}td{padding:.2rem .6rem}
td:empty{display:none}td.work{white-space:normal}}
"""


def to_html(report: Run) -> str:
    """One page that needs nothing else: summary, failures, the claims by paper, provenance."""
    standings = wording.standings(report).items()
    tally = "".join(f"<li>{_badge(wording.label(name), name)} <b>{n:,}</b></li>" for name, n in standings)
    sections = [("Failures", str(len(report.failures)), report.failures)]
    for paper, verdicts in report.papers.items():
        sections.append((paper, wording.holding(verdicts), tuple(v for v in verdicts if v.ok)))
    main = "\n".join(
        f"<section><h2>{html(name)} <small>{size}</small></h2>\n{''.join(_claim(report, v) for v in claims)}</section>"
        for name, size, claims in sections
        if claims
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html(report.title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{html(report.title)}</h1>
<p class="conclusion {"bad" if report.exit_code else "good"}">{html(wording.conclusion(report))}</p>
<ul class="tally">{tally}</ul>
<p class="dim">{html(wording.legend(report))}
{html(wording.guarantee(report))}</p>
</header>
<main>
{main}
</main>
<footer><h2>Provenance</h2>{_terms({name: html(value) for name, value in wording.known(report).items()})}</footer>
</body>
</html>
"""


def _badge(words: str, shade: str) -> str:
    return f'<span class="badge {shade.replace(" ", "-")}">{words}</span>'


def _claim(report: Run, verdict: Verdict) -> str:
    name, standing = html(verdict.id), wording.standing(verdict)
    facts = {"Source": html(verdict.source), "Assuming": "<br>".join(map(html, verdict.assumptions))}
    evidence = []
    for e in verdict.evidence:
        evidence.append([_badge(wording.label(wording.standing(e)), wording.tone(verdict, e) or "plain"), *_row(e)])
    misses = []
    for miss in verdict.near_misses:
        for e in miss.evidence:
            # For a near miss to be refuted is the good result, so it does not wear the colour of a refuted claim.
            shade = "supported" if e.outcome is Outcome.REFUTED else wording.NO_POWER
            statement = html(miss.statement) if e is miss.evidence[0] else ""
            misses.append([statement, _badge(wording.miss_label(e.outcome), shade), *_row(e)])
    head = ("outcome", "witness", "numbers", "work")
    return f"""<details id="{name}"{"" if verdict.ok else ' class="failed" open'}>
<summary><span>{_badge(wording.label(standing), standing)}</span> <code class="id">{name}</code>
<span class="aside dim">{wording.duration(verdict.seconds)}</span>
<span class="statement">{html(verdict.statement)}</span></summary>
<div class="body">{_terms(facts)}
<h3>Evidence</h3>{_table(head, evidence)}
<h3>{wording.misses_refuted(verdict.near_misses)}</h3>{_table(("near miss", *head), misses)}
<h3>Run it again</h3><code class="command">{html(report.command(verdict))}</code>
</div></details>
"""


def _row(evidence: Evidence) -> list[str]:
    numbers = {name: html(text) for name, text in wording.numbers(evidence).items()}
    note = numbers.pop("note", "")
    witness = html(wording.witness(evidence)) + (f'<p class="dim">{note}</p>' if note else "")
    shown = _terms({name: f"<code>{text}</code>" for name, text in numbers.items()})
    return [witness, shown, "<br>".join(wording.work(evidence))]


def _terms(terms: dict[str, str]) -> str:
    """Join texts that are HTML already; leave out empty ones."""
    shown = "".join(f"<dt>{html(name)}</dt><dd>{text}</dd>" for name, text in terms.items() if text)
    return f"<dl>{shown}</dl>" if shown else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; it scrolls inside its own box."""
    if not rows:
        return ""
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    kinds = [name.replace(" ", "-") for name in head]
    lines = [[f'<td class="{kind}">{cell}</td>' for kind, cell in zip(kinds, row, strict=True)] for row in rows]
    body = "".join(f"<tr>{''.join(line)}</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
