"""Finding a model, reading of it, and deploying it."""

import pytest

from tests.processes import BUILTIN, ServerProcess, wait_for
from tests.server.web.conftest import Visitor
from zerostart.server.web.examples import examples_for
from zerostart.server.web.markdown import card_html

MODEL = f"/hub/models/{BUILTIN}"


def test_the_landing_page_shows_what_runs_and_models_to_start_with(admin: Visitor) -> None:
    admin.open("/")
    assert "/endpoints/shared" in admin.links
    assert MODEL in admin.links
    assert "On this machine" in admin.page
    assert "/hub/models/facebook/bart-large-mnli" in admin.links


def test_an_empty_landing_page_teaches_the_first_step(server: ServerProcess) -> None:
    visitor = Visitor(server)
    visitor.sign_in()
    visitor.open("/")
    assert "No endpoint yet" in visitor.page
    assert "/hub?here=on" in visitor.links
    assert "No endpoint yet" in visitor.open("/endpoints").text
    visitor.client.close()


def test_words_filters_and_order_find_models(admin: Visitor) -> None:
    def found(query: str) -> list[str]:
        admin.open(f"/hub?{query}&shown=90")
        return [link.removeprefix("/hub/models/") for link in admin.links if link.startswith("/hub/models/")]

    assert found("words=spanish+small")[0] == "Recognai/zeroshot_selectra_small"
    assert 'value="spanish small"' in admin.page
    assert BUILTIN in found("here=on")
    assert "facebook/bart-large-mnli" not in found("here=on")
    assert "emrecan/convbert-base-turkish-mc4-cased-allnli_tr" in found("language=tr")
    assert "facebook/bart-large-mnli" not in found("language=tr")
    assert all(each.startswith(("sentence-transformers/", "zerostart-embed-")) for each in found("kind=embedding"))
    assert found("sort=small")[0] == "MoritzLaurer/xtremedistil-l6-h256-zeroshot-v1.1-all-33"
    assert "facebook/bart-large-mnli" not in found("size=50")
    assert "valhalla/distilbart-mnli-12-1" in found("licence=unknown")
    assert "valhalla/distilbart-mnli-12-1" not in found("commercial=on")
    assert found("words=pelmeni") == []
    assert "No model is like that" in admin.page


def test_a_wrong_filter_is_said_in_words(admin: Visitor) -> None:
    assert admin.open("/hub?language=klingon").status_code == 400
    assert "klingon" in admin.page


def test_a_model_that_is_not_here_says_how_to_fetch_it(admin: Visitor) -> None:
    admin.open("/hub/models/facebook/bart-large-mnli")
    assert "zerostart models pull facebook/bart-large-mnli" in admin.page
    assert 'name="endpoint_name"' not in admin.page
    assert "https://arxiv.org/abs/1910.13461" in admin.links


def test_one_click_deploys_and_deleting_takes_all_that_was_made(admin: Visitor) -> None:
    admin.open(MODEL)
    response = admin.send(
        MODEL,
        endpoint_name="clicked",
        instances="1",
        instance_type="ml.m5.large",
        isolation="on",
        tags="team = search\n\ncost=low",
    )
    assert response.url.path == "/endpoints/clicked"
    client = admin.server.sagemaker()
    assert client.describe_model(ModelName="clicked")["PrimaryContainer"]["Environment"]["HF_MODEL_ID"] == BUILTIN
    config = client.describe_endpoint_config(EndpointConfigName="clicked")
    assert config["ProductionVariants"][0]["InstanceType"] == "ml.m5.large"
    arn = client.describe_endpoint(EndpointName="clicked")["EndpointArn"]
    assert {each["Key"]: each["Value"] for each in client.list_tags(ResourceArn=arn)["Tags"]} == {
        "team": "search",
        "cost": "low",
    }
    wait_for(lambda: "InService" in admin.open("/endpoints/clicked").text, 60, 0.3)
    admin.open("/endpoints/clicked/delete")
    assert "made together with this endpoint" in admin.page
    assert 'name="belongings" checked' in admin.page
    assert admin.send("/endpoints/clicked/delete", belongings="on").url.path == "/endpoints"
    wait_for(lambda: admin.open("/endpoints/clicked").status_code == 404, 60, 0.3)
    for listed in (client.list_models()["Models"], client.list_endpoint_configs()["EndpointConfigs"]):
        assert "clicked" not in str(listed)


def test_what_was_made_by_hand_stays_unless_it_is_ticked(admin: Visitor) -> None:
    admin.server.create_config("by-hand")
    admin.server.sagemaker().create_endpoint(EndpointName="of-hand", EndpointConfigName="by-hand")
    admin.open("/endpoints/of-hand/delete")
    assert "<b>by-hand</b>" in admin.page
    assert "checked" not in admin.page
    admin.send("/endpoints/of-hand/delete")
    client = admin.server.sagemaker()
    client.delete_endpoint_config(EndpointConfigName="by-hand")
    client.delete_model(ModelName="by-hand")
    wait_for(lambda: admin.open("/endpoints/of-hand").status_code == 404, 60, 0.3)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"endpoint_name": "shared"}, "choose another"),
        ({"endpoint_name": "no spaces"}, "cannot name an endpoint"),
        ({"instances": "0"}, "at least 1"),
        ({"instances": "many"}, "give a whole number"),
        ({"instances": "99"}, "the limit is 20"),
        ({"instance_type": "t3.medium"}, "is no instance type"),
        ({"tags": "team"}, "has no"),
        ({"tags": "aws:x=1"}, "cannot be set"),
    ],
)
def test_what_is_wrong_is_said_on_the_form_which_keeps_what_was_typed_and_nothing_is_left(
    admin: Visitor, fields: dict[str, str], words: str
) -> None:
    asked = {"endpoint_name": "kept", "instances": "1", "instance_type": "ml.m5.xlarge", "tags": "a=b", **fields}
    admin.open(MODEL)
    response = admin.send(MODEL, **asked)
    assert 400 <= response.status_code < 410
    assert words in response.text
    assert f'name="endpoint_name" value="{asked["endpoint_name"]}"' in response.text
    assert asked["tags"] in response.text
    client = admin.server.sagemaker()
    assert "kept" not in str([client.list_models()["Models"], client.list_endpoint_configs()["EndpointConfigs"]])


def test_an_example_is_tried_by_an_endpoint_that_runs_or_deploys_one(admin: Visitor, server: ServerProcess) -> None:
    admin.open(f"{MODEL}?example=2")
    assert 'class="score-name">economy' in admin.page
    assert f"{MODEL}?example=1#try" in admin.links
    visitor = Visitor(server)
    visitor.sign_in()
    visitor.open(f"{MODEL}?example=2")
    assert "score-name" not in visitor.page  # nothing runs that could answer
    assert 'form="deploy" name="example" value="2"' in visitor.page
    asked = {"endpoint_name": "tried", "instances": "1", "instance_type": "ml.m5.large", "example": "2"}
    assert visitor.send(MODEL, **asked).url.params["labels"] == "economy, sport, travel, health"
    assert "The central bank raised" in visitor.page
    assert visitor.send(MODEL, **asked | {"endpoint_name": "other", "example": "99"}).url.path == "/endpoints/other"
    visitor.client.close()


def test_examples_are_in_a_language_of_the_model() -> None:
    assert examples_for(["es"])[0].text.startswith("El delantero")
    assert examples_for(["en"])[0].title == "A support message"
    assert [each.title for each in examples_for(["en", "es", "de"])] == [
        "A support message",
        "A headline",
        "Un titular",
    ]
    assert len(examples_for(["el"])) == 3


def test_the_hub_shows_a_page_of_results_and_leads_to_more(admin: Visitor) -> None:
    admin.open("/hub?sort=name")
    assert admin.page.count('class="card model-card"') == 30
    assert "/hub?sort=name&shown=60" in admin.links
    admin.open("/hub?sort=name&shown=60")
    assert admin.page.count('class="card model-card"') > 50
    assert admin.open("/hub?shown=x&sort=none").status_code == 200
    part = admin.client.get("/hub?words=small&language=&kind=&sort=best", headers={"HX-Request": "true"})
    assert part.headers["hx-replace-url"] == "/hub?words=small"


def test_the_name_that_is_proposed_is_free(admin: Visitor) -> None:
    client = admin.server.sagemaker()
    admin.open(MODEL)
    assert f'name="endpoint_name" value="{BUILTIN}"' in admin.page
    admin.server.create_config(BUILTIN)
    admin.open(MODEL)
    assert f'name="endpoint_name" value="{BUILTIN}-2"' in admin.page
    client.delete_endpoint_config(EndpointConfigName=BUILTIN)
    client.delete_model(ModelName=BUILTIN)


def test_a_card_cannot_bring_markup_scripts_pictures_or_style() -> None:
    card = (
        "---\nlicence: mit\n---\n# Title\n\n<script>alert(1)</script> <b onclick=x>bold</b>\n\n"
        "[a](javascript:alert(1)) [b](https://example.com) [c](README.md) ![picture](https://example.com/p.png)\n\n"
        "| a | b |\n|:-:|--:|\n| 1 | 2 |\n\n# Second\n"
    )
    shown = str(card_html(card))
    assert "<script" not in shown
    assert "<b " not in shown
    assert "<img" not in shown
    assert "style=" not in shown
    assert 'href="javascript' not in shown
    assert 'href="https://example.com" rel="noopener noreferrer nofollow"' in shown
    assert "licence" not in shown
    assert "<h1" not in shown
    assert "<h2>Second</h2>" in shown
    assert "picture" in shown
