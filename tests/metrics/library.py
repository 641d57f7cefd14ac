"""What tests use of prometheus-client, with types, which some of it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import exposition, utils
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as open_exposition
from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.parser import text_string_to_metric_families

parse_text: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
parse_openmetrics: Callable[[str], Iterable[Metric]] = open_parser.text_string_to_metric_families
render_text: Callable[[Any], bytes] = exposition.generate_latest
render_openmetrics: Callable[[Any], bytes] = open_exposition.generate_latest
go_string: Callable[[float], str] = utils.floatToGoString
