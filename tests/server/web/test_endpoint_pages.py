"""An endpoint's page: status, figures, log, and the playground."""

import re

import pytest

from tests.processes import ServerProcess, broken_artefact, wait_for
from tests.server.web.conftest import Visitor
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.web.assets import Assets
from zerostart.server.web.charts import chart_panel
from zerostart.server.web.endpoint_contexts import EndpointPage
from zerostart.server.web.links import Links
from zerostart.server.web.playground import PlayedModel, examples, labels_of, typed
from zerostart.server.web.rendering import Renderer, Shell
from zerostart.server.web.traffic import TrafficWatch, quantile

TEXT = "One day I will see the world"


def scores(page: str) -> dict[str, str]:
    found = re.findall(r'score-name">([^<]*)</span>\s*<span class="score-value">([^<]*)<', page)
    return dict(found)


def test_a_text_and_labels_give_scores_by_form_and_by_link(admin: Visitor) -> None:
    admin.open("/endpoints/shared")
    assert "Scores appear here" in admin.page
    sent = admin.send("/endpoints/shared/playground", text=TEXT, labels="travel, cooking, dancing")
    by_form = scores(sent.text)
    assert next(iter(by_form)) == "travel"
    assert sum(float(each.rstrip("%")) for each in by_form.values()) == pytest.approx(100, abs=0.3)
    assert re.search(r"Answered in <b>[\d.]+ m?s</b>", sent.text)
    link = next(link for link in admin.links if link.startswith("/endpoints/shared?text=One"))
    shared = admin.open(link)
    assert scores(shared.text) == by_form
    assert TEXT in shared.text


def test_several_labels_may_fit_each_on_its_own(admin: Visitor) -> None:
    admin.open(
        f"/endpoints/shared?text={TEXT}&labels=travel%0Aseeing+the+world&multi=on&template=This+is+about+%7B%7D."
    )
    found = scores(admin.page)
    assert set(found) == {"travel", "seeing the world"}
    assert sum(float(each.rstrip("%")) for each in found.values()) > 101
    assert 'name="multi" checked' in admin.page
    assert "<li>seeing the world</li>" in admin.page  # as read
    assert 'value="This is about {}."' in admin.page


def test_the_playground_answers_parts_of_a_page_for_those_who_type(admin: Visitor) -> None:
    admin.open("/endpoints/shared")
    asked = {"form_token": admin.form_token, "text": TEXT, "labels": "travel,cooking", "template": "", "multi": "on"}
    part = admin.client.post("/endpoints/shared/playground", data=asked, headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith('<div id="result"')
    assert "<html" not in part.text
    assert set(scores(part.text)) == {"travel", "cooking"}
    assert part.headers["hx-replace-url"].startswith("/endpoints/shared?text=One+day")


def test_how_an_endpoint_is_scaled_is_said(admin: Visitor) -> None:
    assert "Scaling by load" not in admin.open("/endpoints/shared").text
    client = admin.server.client("application-autoscaling", admin.server.keys)
    variant = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/shared/variant/AllTraffic"}
    variant["ScalableDimension"] = "sagemaker:variant:DesiredInstanceCount"
    client.register_scalable_target(
        **variant, MinCapacity=1, MaxCapacity=3, SuspendedState={"DynamicScalingOutSuspended": True}
    )
    without = admin.open("/endpoints/shared").text
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    config = {"TargetValue": 600.0, "PredefinedMetricSpecification": metric}
    client.put_scaling_policy(
        **variant, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=config
    )
    with_policy = admin.open("/endpoints/shared").text
    client.deregister_scalable_target(**variant)
    assert "scales between 1 and 3 instances; without a policy it keeps its count" in without
    assert "scales between 1 and 3 instances by 600 invocations a minute each" in with_policy
    assert "Scaling out is switched off" in with_policy
    assert "Scaling by load" not in admin.open("/endpoints/shared").text


def test_markup_in_texts_and_labels_is_shown_as_it_was_typed(admin: Visitor) -> None:
    label = "<img src=x onerror=alert(1)>"
    page = admin.open(f"/endpoints/shared?text=%3Cscript%3Ealert(1)%3C/script%3E&labels={label}%0Aother").text
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_what_the_model_refuses_is_said_beside_the_form(admin: Visitor) -> None:
    page = admin.open(f"/endpoints/shared?text={TEXT}&labels=a&template=no+place").text
    assert "write {} exactly once" in page
    assert 'value="no place"' in page
    page = admin.open(f"/endpoints/shared?text={TEXT}&labels=" + ",".join(map(str, range(201)))).text
    assert "201 labels are too many" in page


def test_a_choice_of_scorers_is_offered_where_the_model_has_one() -> None:
    shown = typed("a", {"scorer": "nli"}, PlayedModel(scorers=("nli", "hybrid")))
    assert [each.value for each in shown.scorers] == ["", "nli", "hybrid"]
    page = Renderer(Links(Assets())).text(EndpointPage("a", shown, [], [], None, chart_panel(())), Shell(None, "", "/"))
    assert '<option value="nli" selected>NLI alone</option>' in page
    plain = Renderer(Links(Assets())).text(
        EndpointPage("a", typed("a", {}, PlayedModel()), [], [], None, chart_panel(())), Shell(None, "", "/")
    )
    assert 'name="scorer"' not in plain


def test_a_scorer_goes_to_the_model_and_into_the_link(admin: Visitor) -> None:
    admin.open(f"/endpoints/shared?text={TEXT}&labels=travel,cooking&scorer=nli")
    assert any("scorer=nli" in link for link in admin.links)
    admin.open(f"/endpoints/shared?text={TEXT}&labels=travel,cooking&scorer=hybrid")
    assert any("scorer=hybrid" in link for link in admin.links)


def test_an_empty_playground_begins_with_the_models_own_hypothesis() -> None:
    spanish = PlayedModel("Este ejemplo es {}.", ["es"])
    assert typed("a", {}, spanish).hypothesis == "Este ejemplo es {}."
    assert typed("a", {"text": "x"}, spanish).hypothesis == "This example is {}."  # what a shared link leaves out
    assert "template=Este" in examples(Links(Assets()), "a", spanish)[0].link


def test_labels_stand_in_lines_or_between_commas() -> None:
    assert labels_of("travel, cooking ,travel,, ") == ["travel", "cooking"]
    assert labels_of("food, and drink\n travel \n") == ["food, and drink", "travel"]
    assert labels_of("a; b") == ["a", "b"]
    assert labels_of(" \n ") == []


def test_an_endpoints_page_shows_what_runs_and_how_it_does(admin: Visitor) -> None:
    for _ in range(3):
        admin.open(f"/endpoints/shared?text={TEXT}&labels=travel,cooking")
    page = admin.open("/endpoints/shared").text
    for shown in ("InService", "1 of 1", "ml.m5.xlarge", "AllTraffic", "takes invocations on", "arn:aws:sagemaker"):
        assert shown in page
    assert re.search(r'class="mono">i-[0-9a-f]{12}<', page)
    tiles = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", page))
    assert int(tiles["Memory"].split()[0]) > 10
    assert int(tiles["Requests/min"]) >= 3
    assert tiles["p50"].endswith("ms")
    row = admin.open("/endpoints").text
    assert tiles["Memory"].split()[1] in row


def test_the_status_follows_and_tells_the_playground_when_it_may_ask(admin: Visitor) -> None:
    headers = {"HX-Request": "true"}
    same = admin.client.get("/endpoints/shared/status?seen=InService", headers=headers)
    assert 'value="InService"' in same.text
    assert "<html" not in same.text
    assert "hx-trigger" not in same.headers
    changed = admin.client.get("/endpoints/shared/status?seen=Creating", headers=headers)
    assert changed.headers["hx-trigger"] == "endpoint-ready"
    gone = admin.client.get("/endpoints/missing/status?seen=Deleting", headers=headers)
    assert gone.headers["hx-redirect"] == "/endpoints"
    visitor = Visitor(admin.server)
    ended = visitor.client.get("/endpoints/shared/status", headers={**headers, "HX-Current-URL": "http://x/endpoints"})
    assert ended.headers["hx-redirect"] == "/sign-in?next=%2Fendpoints"
    visitor.client.close()


def test_an_endpoint_that_failed_says_why(server: ServerProcess) -> None:
    broken_artefact(server.home)
    visitor = Visitor(server)
    visitor.sign_in()
    visitor.open("/hub/models/broken")
    asked = {"endpoint_name": "fails", "instances": "1", "instance_type": "ml.m5.xlarge"}
    visitor.send("/hub/models/broken", **asked)
    wait_for(lambda: "Failed" in visitor.open("/endpoints/fails").text, 120, 0.5)
    assert "was altered" in visitor.page
    assert "Playground" not in visitor.page
    assert "/endpoints/fails/delete" in visitor.links
    visitor.client.close()


def test_a_list_goes_on_only_from_where_it_ended(admin: Visitor) -> None:
    assert admin.open("/endpoints?from=nonsense").status_code == 400
    assert "was not given out" in admin.page


def test_traffic_is_that_of_the_last_minutes() -> None:
    now_s = 1000.0
    metrics = ControlPlaneMetrics()
    watch = TrafficWatch(metrics, lambda: now_s)
    watch.look()
    for _ in range(10):
        metrics.invocations.labels("a").inc()
        metrics.model_latency.labels("a", "v").observe(0.004)
    metrics.errors_4xx.labels("a", "ModelError").inc(2)
    found = watch.of("a")
    assert found.requests_per_minute == 10
    assert found.errors == 2
    assert found.p50_s is not None
    assert 0.0025 < found.p50_s < 0.005
    now_s += 62
    watch.look()
    now_s += 61
    assert watch.of("a").requests_per_minute == 0
    assert watch.of("a").errors == 2
    now_s += 400
    assert watch.of("a").p50_s is None
    assert watch.of("b").p50_s is None


def test_a_quantile_lies_between_the_bounds_of_its_bucket() -> None:
    buckets = {0.01: 50.0, 0.1: 100.0, float("inf"): 100.0}
    assert quantile(buckets, 0.5) == pytest.approx(0.01)
    assert quantile(buckets, 0.75) == pytest.approx(0.055)
    assert quantile({0.01: 0.0, float("inf"): 4.0}, 0.5) == 0.01
    assert quantile({}, 0.5) is None
