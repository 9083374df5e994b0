"""Updating an endpoint by its form, and what a deployment is asked for with the options of its own."""

import re
from collections.abc import Iterator

import pytest

from tests.processes import BUILTIN, ROLE, ServerProcess, broken_artefact, wait_for
from tests.server.web.conftest import Visitor
from zerostart.credentials import AccessKey, Role, create_access_key

MODEL = f"/hub/models/{BUILTIN}"
QUESTION = {"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}


@pytest.fixture(scope="module")
def fake_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server with the fake engine, which starts quickly; each test has endpoints of its own names."""
    home = tmp_path_factory.mktemp("updates") / "home"
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_MAX_INSTANCES="20") as process:
        yield process


@pytest.fixture
def operator(fake_server: ServerProcess) -> Iterator[Visitor]:
    """An administrator of that server."""
    visitor = Visitor(fake_server)
    visitor.sign_in()
    yield visitor
    visitor.client.close()


def typed(page: str, **changes: str) -> dict[str, str]:
    """What a browser would send of the update form: what is in it, and what was typed over it."""
    fields = dict(re.findall(r'<input (?:type="hidden" )?name="([\w-]+)"[^>]*? value="([^"]*)"', page))
    fields |= {
        name: re.findall(r'<option value="([^"]*)" selected', options)[0]
        for name, options in re.findall(r'<select name="([\w-]+)"[^>]*>(.*?)</select>', page, re.DOTALL)
    }
    del fields["form_token"]
    return fields | {name.replace("_", "-"): value for name, value in changes.items()}


def update(visitor: Visitor, name: str, **changes: str) -> None:
    page = visitor.open(f"/endpoints/{name}/update").text
    response = visitor.send(f"/endpoints/{name}/update", **typed(page, **changes))
    assert response.url.path == f"/endpoints/{name}", response.text


def test_an_update_changes_what_was_asked_keeps_the_rest_and_all_of_it_goes_with_the_endpoint(
    operator: Visitor,
) -> None:
    server, client = operator.server, operator.server.sagemaker()
    operator.open(MODEL)
    operator.send(MODEL, endpoint_name="site", instances="1", instance_type="ml.m5.xlarge", tags="team=search")
    server.wait_in_service("site")
    update(operator, "site", instances_0="2", type_0="ml.c5.large")
    assert "An update to the config site-2 is under way" in operator.page
    server.wait_in_service("site")
    config = client.describe_endpoint_config(EndpointConfigName="site-2")["ProductionVariants"][0]
    assert (config["InitialInstanceCount"], config["InstanceType"]) == (2, "ml.c5.large")
    assert config["ModelName"] == "site"
    assert server.ready_instances("site") == 2
    arn = client.describe_endpoint(EndpointName="site")["EndpointArn"]
    assert {"Key": "team", "Value": "search"} in client.list_tags(ResourceArn=arn)["Tags"]
    update(operator, "site", model_0="zerostart-embed-base", instances_0="1", isolation_0="on")
    server.wait_in_service("site")
    made = client.describe_model(ModelName="site-3")
    assert made["PrimaryContainer"]["Environment"]["HF_MODEL_ID"] == "zerostart-embed-base"
    assert made["ExecutionRoleArn"].endswith("role/zerostart")
    assert "site-3" in operator.open("/endpoints/site").text
    asked = operator.open("/endpoints/site/delete").text
    assert 'name="belongings" checked' in asked
    assert set(re.findall(r"<b>([\w-]+)</b>", asked)) >= {"site", "site-2", "site-3"}
    operator.send("/endpoints/site/delete", belongings="on")
    for listed in (client.list_models()["Models"], client.list_endpoint_configs()["EndpointConfigs"]):
        assert "site" not in str(listed)


def test_an_update_that_cannot_start_is_told_and_the_endpoint_goes_on(operator: Visitor) -> None:
    server = operator.server
    server.deploy("steady")
    update(operator, "steady", model_0=broken_artefact(server.home))
    wait_for(lambda: "was given up, and the endpoint goes on" in operator.open("/endpoints/steady").text, 60, 0.3)
    assert "was altered" in operator.page
    assert server.status("steady") == "InService"
    assert server.invoke("steady", QUESTION)["labels"]
    update(operator, "steady", instances_0="2")  # the next one begins from what serves
    server.wait_in_service("steady")
    assert server.ready_instances("steady") == 2


def test_what_is_wrong_with_an_update_is_said_beside_its_field_and_nothing_is_left(operator: Visitor) -> None:
    server, client = operator.server, operator.server.sagemaker()
    server.deploy("wrong")
    for changes, field, words in (
        ({"instances_0": "0"}, "instances-0", "at least 1"),
        ({"instances_0": "many"}, "instances-0", "give a whole number"),
        ({"instances_0": "99"}, "instances-0", "the limit is"),
        ({"type_0": "t3.medium"}, "type-0", "is no instance type"),
        ({"model_0": "no/such-model"}, "model-0", "is not on this machine"),
    ):
        page = operator.open("/endpoints/wrong/update").text
        response = operator.send("/endpoints/wrong/update", **typed(page, **changes))
        assert 400 <= response.status_code < 410, changes
        problem = re.search(rf'id="problem-{field}"[^>]*>([^<]*)<', response.text)
        assert problem is not None, changes
        assert words in problem[1]
        assert next(iter(changes.values())) in response.text
    stale = operator.send(
        "/endpoints/wrong/update", **typed(operator.open("/endpoints/wrong/update").text, config="old")
    )
    assert stale.status_code == 409
    assert "changed by somebody else" in stale.text
    for listed in (client.list_models()["Models"], client.list_endpoint_configs()["EndpointConfigs"]):
        assert "wrong-" not in str(listed).replace("arn:", "")
    assert operator.open("/endpoints/missing/update").status_code == 404


def test_an_endpoint_of_several_variants_keeps_its_weights(operator: Visitor) -> None:
    server, client = operator.server, operator.server.sagemaker()
    server.create_config("a")
    variants = [
        {
            "VariantName": name,
            "ModelName": "a",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.xlarge",
            "InitialVariantWeight": 1.0,
        }
        for name in ("Blue", "Green")
    ]
    client.create_endpoint_config(EndpointConfigName="both", ProductionVariants=variants)  # type: ignore[arg-type]
    client.create_endpoint(EndpointName="both", EndpointConfigName="both")
    server.wait_in_service("both")
    weights = [{"VariantName": "Blue", "DesiredWeight": 3.0}]
    client.update_endpoint_weights_and_capacities(EndpointName="both", DesiredWeightsAndCapacities=weights)  # type: ignore[arg-type]
    server.wait_in_service("both")
    assert "Variant Green" in operator.open("/endpoints/both/update").text
    update(operator, "both", instances_1="2")
    server.wait_in_service("both")
    described = client.describe_endpoint(EndpointName="both")["ProductionVariants"]
    assert {each["VariantName"]: (each["CurrentWeight"], each["CurrentInstanceCount"]) for each in described} == {
        "Blue": (3.0, 1),
        "Green": (1.0, 2),
    }


def test_a_serverless_endpoint_gets_another_model(operator: Visitor) -> None:
    server, client = operator.server, operator.server.sagemaker()
    server.create_config("rare", MaxConcurrency=2)
    client.create_endpoint(EndpointName="rare", EndpointConfigName="rare")
    server.wait_in_service("rare")
    page = operator.open("/endpoints/rare/update").text
    assert "2048 MB, 2 at once" in page
    assert 'name="instances-0"' not in page
    update(operator, "rare", model_0="zerostart-embed-base")
    server.wait_in_service("rare")
    config = client.describe_endpoint_config(EndpointConfigName="rare-2")["ProductionVariants"][0]
    assert config["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    assert "InstanceType" not in config


def test_updating_follows_the_roles(operator: Visitor) -> None:
    server = operator.server
    server.deploy("guarded")
    keys = server.home / "access-keys.json"
    for role, names, status in ((Role.INVOKE, ["guarded"], 403), (Role.DEPLOY, [], 200)):
        key: AccessKey = create_access_key(keys, f"key-{role}", role, names)
        visitor = Visitor(server)
        visitor.sign_in_with(key)
        assert visitor.open("/endpoints/guarded/update").status_code == status
        assert visitor.open("/endpoints/guarded/charts").status_code == status
        visitor.open("/endpoints/guarded")
        assert ("/endpoints/guarded/update" in visitor.links) is (status == 200)
        sent = visitor.send("/endpoints/guarded/update", config="guarded", instances_0="2")
        assert sent.status_code == (403 if status == 403 else 400)
        visitor.client.close()
    assert server.sagemaker().describe_endpoint(EndpointName="guarded").get("EndpointConfigName") == "guarded"


def test_the_options_of_a_deployment_are_what_the_api_shows(operator: Visitor) -> None:
    server, client = operator.server, operator.server.sagemaker()
    server.s3().create_bucket(Bucket="answers")
    page = operator.open(MODEL).text
    assert '<option value="s3://answers/answers">' in page
    assert "ml.c5.large: 2 vCPU, 4 GiB" in page
    asked = {"endpoint_name": "later", "instances": "1", "instance_type": "ml.m5.xlarge"}
    options = {"bucket": "s3://answers/here", "key": "alias/mine", "role": ROLE}
    response = operator.send(MODEL, **asked, **options)
    assert response.url.path == "/endpoints/later"
    assert client.describe_model(ModelName="later")["ExecutionRoleArn"] == ROLE
    config = client.describe_endpoint_config(EndpointConfigName="later")
    assert config["KmsKeyId"] == "alias/mine"
    assert config["AsyncInferenceConfig"]["OutputConfig"] == {
        "S3OutputPath": "s3://answers/here",
        "KmsKeyId": "alias/mine",
    }
    server.wait_in_service("later")
    server.s3().put_object(Bucket="answers", Key="in", Body='{"inputs": "Hi.", "candidate_labels": ["a"]}')
    taken = server.runtime().invoke_endpoint_async(
        EndpointName="later", InputLocation="s3://answers/in", ContentType="application/json"
    )
    key = taken["OutputLocation"].removeprefix("s3://answers/")
    assert key.startswith("here/")
    wait_for(lambda: server.s3().list_objects_v2(Bucket="answers", Prefix=key)["KeyCount"])
    assert server.s3().head_object(Bucket="answers", Key=key)["SSEKMSKeyId"].endswith("alias/mine")
    update(operator, "later", instances_0="2")  # it goes on answering there
    server.wait_in_service("later")
    assert client.describe_endpoint(EndpointName="later")["AsyncInferenceConfig"]["OutputConfig"]["S3OutputPath"]
    for wrong, field, words in (
        ({"bucket": "s3://nobodys/here"}, "bucket", "bucket"),
        ({"bucket": "here"}, "bucket", "is not of the form s3://"),
        ({"key": "no key"}, "key", "names no key"),
        ({"role": "me"}, "role", "is no role"),
    ):
        operator.open(MODEL)
        response = operator.send(MODEL, **{**asked, **options, "endpoint_name": "other", **wrong})
        assert 400 <= response.status_code < 410
        problem = re.search(rf'id="problem-{field}"[^>]*>([^<]*)<', response.text)
        assert problem is not None, wrong
        assert words in problem[1]
        assert '<details class="options" open>' in response.text
    assert "other" not in str(client.list_models()["Models"])
