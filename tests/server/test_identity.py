"""STS and IAM, through unmodified boto3."""

import json
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import ServerProcess


def client(server: ServerProcess, service: str, secret: str | None = None) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=server.address,
        aws_access_key_id=server.keys.access_key_id,
        aws_secret_access_key=secret or server.keys.secret_access_key,
        region_name="us-east-1",
    )


def test_the_caller_is_a_role_that_iam_knows(shared_server: ServerProcess) -> None:
    identity = client(shared_server, "sts").get_caller_identity()
    assert identity["Account"] == "000000000000"
    kind, role, session = identity["Arn"].split(":")[-1].split("/")
    assert (kind, session) == ("assumed-role", shared_server.keys.access_key_id)
    found = client(shared_server, "iam").get_role(RoleName=role)["Role"]
    assert found["Arn"] == f"arn:aws:iam::000000000000:role/{role}"
    assert found["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}


def test_users_and_simulated_policies(shared_server: ServerProcess) -> None:
    iam = client(shared_server, "iam")
    assert iam.get_user(UserName="me")["User"]["Arn"] == "arn:aws:iam::000000000000:user/me"
    simulated = iam.simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::000000000000:role/zerostart", ActionNames=["s3:GetObject", "s3:PutObject"]
    )
    decisions = {each["EvalActionName"]: each["EvalDecision"] for each in simulated["EvaluationResults"]}
    assert decisions == {"s3:GetObject": "allowed", "s3:PutObject": "allowed"}


def test_refusals_are_in_the_query_protocols_words(shared_server: ServerProcess) -> None:
    with pytest.raises(ClientError) as caught:
        client(shared_server, "sts", "wrong").get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    with pytest.raises(ClientError) as caught:
        client(shared_server, "iam").list_roles()
    assert caught.value.response["Error"]["Code"] == "InvalidAction"
    assert "Zerostart has GetRole" in caught.value.response["Error"]["Message"]


def status(server: ServerProcess, body: bytes) -> int:
    request = AWSRequest("POST", server.address + "/", {"Content-Type": "application/x-www-form-urlencoded"}, body)
    credentials = Credentials(server.keys.access_key_id, server.keys.secret_access_key)
    SigV4Auth(credentials, "iam", "us-east-1").add_auth(request)
    try:
        with urllib.request.urlopen(
            urllib.request.Request(server.address + "/", body, dict(request.headers.items())), timeout=10
        ) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            error.read()
            return error.code


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["Action", "RoleName", "ActionNames.member.1", "ActionNames.member.x", "A.B.1", "Version"]
                ),
                st.text(max_size=30),
            )
        ).map(lambda pairs: json.dumps(pairs).encode()),
        st.lists(
            st.sampled_from(
                [
                    "Action=GetRole",
                    "RoleName=x",
                    "Action=SimulatePrincipalPolicy",
                    "ActionNames.member.99999999999=a",
                    "RoleName=%FF",
                    "MaxItems=1e9",
                ]
            )
        ).map(lambda parts: "&".join(parts).encode()),
    )
)
def test_malformed_forms_are_the_callers_fault(shared_server: ServerProcess, body: bytes) -> None:
    assert status(shared_server, body) in {200, 400, 404}
