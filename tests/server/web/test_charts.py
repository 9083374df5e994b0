"""The last hour of an endpoint: what is kept of it, and how it is drawn."""

import re
from itertools import pairwise

import pytest

from tests.processes import wait_for
from tests.server.web.conftest import Visitor
from zerostart.hosting.router import RoutedVariant, Router
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.web.charts import Chart, chart_panel
from zerostart.server.web.history import EVERY_S, History, Moment
from zerostart.server.web.traffic import TrafficWatch


class Watched:
    """A history with a clock of the test's own."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.metrics = ControlPlaneMetrics()
        self.router = Router()
        self.history = History(TrafficWatch(self.metrics), self.router, lambda: self.now_s)

    def publish(self, name: str) -> None:
        self.router.publish(name, [RoutedVariant("AllTraffic", 1.0, ())])

    def pass_time(self, looks: int, requests: int = 0) -> None:
        for _ in range(looks):
            self.metrics.invocations.labels("site").inc(requests)
            for _ in range(requests):
                self.metrics.model_latency.labels("site", "AllTraffic").observe(0.004)
            self.history.look()
            self.now_s += EVERY_S


def test_a_moment_is_of_the_minute_before_it() -> None:
    watched = Watched()
    watched.publish("site")
    watched.pass_time(1)
    watched.pass_time(8, requests=2)
    watched.pass_time(8)
    rates = [each.requests_per_minute for each in watched.history.of("site")]
    assert rates == [0, 2, 4, 6, 8, 8, 8, 8, 8, 6, 4, 2, 0, 0, 0, 0, 0]
    moments = watched.history.of("site")
    assert moments[5].p50_s == pytest.approx(0.0037, abs=0.002)
    assert moments[-1].p99_s is None
    assert [older.age_s - newer.age_s for older, newer in pairwise(moments)] == [EVERY_S] * 16


def test_no_more_than_an_hour_is_kept_and_nothing_of_an_endpoint_that_is_gone() -> None:
    watched = Watched()
    watched.publish("site")
    watched.pass_time(600, requests=1)
    assert len(watched.history.of("site")) == 240
    assert watched.history.of("site")[0].age_s <= 3600
    assert len(watched.history._looks) < 250
    watched.router.withdraw("site")
    watched.pass_time(1)
    assert watched.history.of("site") == []
    watched.publish("site")  # another one of that name, whose counters go on from the first one's
    watched.pass_time(2)
    assert [each.requests_per_minute for each in watched.history.of("site")] == [0, 0]


def moment(age_s: float, requests: float = 0, p50_s: float | None = None, memory_bytes: int = 50_000_000) -> Moment:
    return Moment(age_s, requests, 0, p50_s, p50_s, memory_bytes)


def charts(*moments: Moment) -> dict[str, Chart]:
    return {chart.id: chart for chart in chart_panel(moments).charts}


def test_lines_go_from_left_to_right_within_the_scale_and_are_interrupted_where_nothing_is_known() -> None:
    drawn = charts(moment(300, 10, 0.02), moment(225, 40, 0.03), moment(150), moment(75, 0, 0.05), moment(0, 5))
    assert drawn["requests"].top == "40"
    assert drawn["requests"].lines[0].path == "M0.0 75.0h0L150.0 0.0L300.0 100.0L450.0 100.0L600.0 87.5"
    assert drawn["latency"].top == "60 ms"
    assert drawn["latency"].lines[0].path == "M0.0 66.7h0L150.0 50.0M450.0 16.7h0"
    assert drawn["latency"].lines[0].newest == "\N{EN DASH}"
    assert drawn["requests"].said == "Between 0 and 40; newest: 5."
    assert "Between 20 ms and 50 ms" in drawn["latency"].said


def test_without_a_request_the_charts_say_so() -> None:
    drawn = charts(moment(15), moment(0))
    assert drawn["latency"].empty == "No request was answered in this time."
    assert drawn["requests"].empty == ""
    assert drawn["requests"].lines[0].path.endswith("L600.0 100.0")
    assert drawn["memory"].top == "60 MB"
    assert chart_panel([]).charts == ()


def test_the_table_has_the_highest_of_each_five_minutes() -> None:
    rows = chart_panel([moment(700, 7), moment(310, 3, 0.5), moment(305, 9), moment(10, 1)]).rows
    assert [(row.when, row.requests, row.p50) for row in rows] == [
        ("0 to 5 minutes ago", "1", "\N{EN DASH}"),
        ("5 to 10 minutes ago", "9", "500 ms"),
        ("10 to 15 minutes ago", "7", "\N{EN DASH}"),
    ]


def test_an_endpoints_page_has_its_charts_which_follow(admin: Visitor) -> None:
    page = wait_for(lambda: (text := admin.open("/endpoints/shared").text) and 'class="charts"' in text and text, 60, 1)
    assert re.findall(r'<span class="chart-title">([^<]+)</span>', page) == [
        "Requests a minute",
        "Latency",
        "Errors a minute",
        "Memory",
    ]
    assert len(re.findall(r"<svg[^>]* role=\"img\" aria-labelledby=\"chart-\w+\"", page)) == 4
    assert re.search(r"<desc id=\"chart-memory-said\">Between \d+ MB and \d+ MB", page)
    assert "The same as a table" in page
    headers = {"HX-Request": "true"}
    part = admin.client.get("/endpoints/shared/charts", headers=headers).text
    assert part.startswith('<div id="charts" hx-get="/endpoints/shared/charts"')
    assert admin.client.get("/endpoints/missing/charts", headers=headers).status_code == 204
