"""docs/metrics.md, written from the catalogue: `python -m metrics.exposition.document > docs/metrics.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from metrics.catalog import SECTIONS, Family, Stability
from metrics.exposition.budget import ORDER
from metrics.exposition.patterns import LATENCY
from metrics.exposition.text import number

_HEAD = """# Metrics

Written from `metrics/catalog` by `python -m metrics.exposition.document`; a test compares the two. Names, labels and
units are promises; what is marked *experimental* may still change its meaning between minor versions.

`GET /metrics` gives the text format 0.0.4, or OpenMetrics 1.0.0 to those who ask for it, compressed for those who take
gzip. `name[]=NAME` chooses families by their own name or that of one of their samples; it may be repeated.

- Every configured service has its series in every state; the page that follows its removal has none of them.
- Scope *replica* has the labels `service` and `replica` ("0" to "n"), *service* the label `service`.
- A label's values come from the configuration or from the closed lists below; what is not on a list reads `other`.
- A counter's series with the values in **bold** exist from the start, at 0; others appear with their first count.
- Counters end in `_total`; histograms have `_bucket`, `_count` and `_sum`, summaries `_count` and `_sum`.
- A family marked *later* is promised and shows HELP and TYPE and no sample in this version.
- There are no `_created` series and no timestamps.
- In OpenMetrics the buckets of respawn latency, respawn overhead and spawn duration carry exemplars, `trace_id` and
  `span_id`, where tracing is on.
- Times are rounded to the millisecond, durations that are added up to the microsecond, ratios to four places.
- Families that an operator's own collectors add to the registry (`metrics.exposition.registry()`) follow ours. One that
  raises, or does not end in time, costs its own families alone.

A page has at most `metrics.max_series` series. Of one that would have more, families are left out whole, in this order,
until it fits:

{steps}

HELP and TYPE of what is left out stay. Nothing else is ever left out, nor is anything of a page of `name[]`; a page
that is still too large is given as it is. `respawnd_metrics_series_dropped_total` rises with every page by the series
that it lacks, and the log says once what is left out.

`X-Prometheus-Scrape-Timeout-Seconds` is honoured: where a new page cannot be ready in time, the last one is given, with
its `Age`, unless it is older than a minute.
"""


def _steps() -> Iterator[str]:
    """The order in which families are left out."""
    for place, step in enumerate(ORDER, 1):
        names = ", ".join(f"`{name}`" for name in step)
        folded = ': one histogram stays, the sum of all services, with `service="_folded"`' if LATENCY in step else ""
        yield f"{place}. {names}{folded}"


def _labels(family: Family) -> str:
    """The labels with their closed values, those of `initial` in bold."""
    closed = dict(family.values)
    words = []
    for label in family.labels:
        values = [f"**{value}**" if value in family.initial else value for value in closed.get(label, ())]
        words.append(f"`{label}`" + (f" ({', '.join(values)})" if values else ""))
    return "<br>".join(words)


def _meaning(family: Family) -> str:
    """The help text, and what else there is to say of a family."""
    words = [family.help]
    if family.buckets:
        words.append(f"Buckets: {' '.join(map(number, family.buckets))}.")
    if family.stability is Stability.EXPERIMENTAL:
        words.append("*experimental*")
    if family.since is None:
        words.append("*later*")
    return " ".join(words).replace("|", "\\|")


def lines() -> Iterator[str]:
    """The document, line by line."""
    yield _HEAD.format(steps="\n".join(_steps()))
    for title, families in SECTIONS:
        yield f"## {title}\n"
        yield "| name | type | scope | labels | meaning | since |"
        yield "|---|---|---|---|---|---|"
        for family in families:
            cells = (
                f"`{family.name}`", family.kind.value, family.scope.value, _labels(family), _meaning(family),
                family.since or "",
            )  # fmt: skip
            yield f"| {' | '.join(cells)} |"
        yield ""


def document() -> str:
    """The whole document."""
    return "\n".join(lines())


if __name__ == "__main__":
    sys.stdout.write(document())
