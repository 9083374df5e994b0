"""Code that does what a page does. It runs as shown: a test pastes each of them."""

from collections.abc import Sequence

from zerostart.server.web.contexts import Snippet
from zerostart.services.arn import ACCOUNT_ID
from zerostart.services.authorisation import ROLE_NAME

_TEXT = "One day I will see the world"
_LABELS = ("travel", "cooking", "dancing")
_LIST = ", ".join(f'"{label}"' for label in _LABELS)
_BODY = f'{{"inputs": "{_TEXT}", "parameters": {{"candidate_labels": [{_LIST}]}}}}'
_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/{ROLE_NAME}"
_SDK_FIRST = '# pip install "sagemaker<3"; save this as ask.py, then: zerostart run -- python ask.py\n'
_ENVIRONMENT = 'eval "$(zerostart env)"    # address and keys of this installation'


def model_snippets(
    model_id: str, jumpstart_id: str | None, endpoint: str, instance_type: str, region: str
) -> Sequence[Snippet]:
    """Deploying a model, and asking it."""
    return (
        Snippet("Command line", "shell", _command_line(model_id, endpoint, instance_type)),
        Snippet("boto3", "python", _boto3_deploy(model_id, endpoint, instance_type)),
        Snippet("SageMaker Python SDK", "python", _sdk_deploy(model_id, jumpstart_id, endpoint, instance_type)),
        Snippet("Python, without a server", "python", _pipeline(model_id)),
        Snippet("AWS CLI", "shell", _aws_deploy(model_id, endpoint, instance_type)),
        Snippet("curl", "shell", _curl_deploy(model_id, endpoint, instance_type, region)),
    )


def endpoint_snippets(endpoint: str) -> Sequence[Snippet]:
    """Asking an endpoint."""
    return (
        Snippet("boto3", "python", "import json\n\nimport boto3\n\n" + _boto3_invoke(endpoint)),
        Snippet("SageMaker Python SDK", "python", f"{_SDK_FIRST}{_sdk_ask(endpoint)}"),
        Snippet("Command line", "shell", _invoke(endpoint)),
        Snippet("AWS CLI", "shell", f"{_ENVIRONMENT}\n{_aws_invoke(endpoint)}"),
        Snippet("curl", "shell", f"{_ENVIRONMENT}\n{_curl_invoke(endpoint)}"),
    )


def _boto3_deploy(model_id: str, endpoint: str, instance_type: str) -> str:
    return f'''# in a shell: eval "$(zerostart env)"
import json

import boto3

sagemaker = boto3.client("sagemaker")
sagemaker.create_model(
    ModelName="{endpoint}",
    ExecutionRoleArn="{_ROLE}",
    PrimaryContainer={{"Environment": {{"HF_MODEL_ID": "{model_id}"}}}},
)
variant = {{
    "VariantName": "AllTraffic",
    "ModelName": "{endpoint}",
    "InitialInstanceCount": 1,
    "InstanceType": "{instance_type}",
}}
sagemaker.create_endpoint_config(EndpointConfigName="{endpoint}", ProductionVariants=[variant])
sagemaker.create_endpoint(EndpointName="{endpoint}", EndpointConfigName="{endpoint}")
waiter = sagemaker.get_waiter("endpoint_in_service")
waiter.wait(EndpointName="{endpoint}", WaiterConfig={{"Delay": 1, "MaxAttempts": 120}})

{_boto3_invoke(endpoint)}'''


def _boto3_invoke(endpoint: str) -> str:
    return f'''runtime = boto3.client("sagemaker-runtime")
body = {_BODY}
answer = runtime.invoke_endpoint(
    EndpointName="{endpoint}", Body=json.dumps(body), ContentType="application/json"
)
print(json.loads(answer["Body"].read()))'''


def _sdk_deploy(model_id: str, jumpstart_id: str | None, endpoint: str, instance_type: str) -> str:
    if jumpstart_id is not None:
        made = f"""from sagemaker.jumpstart.model import JumpStartModel

model = JumpStartModel(model_id="{jumpstart_id}")"""
    else:
        made = f"""from sagemaker.huggingface import HuggingFaceModel

model = HuggingFaceModel(
    env={{"HF_MODEL_ID": "{model_id}"}},
    role="{_ROLE}",
    transformers_version="4.26",  # which image SageMaker would take; none is run here
    pytorch_version="1.13",
    py_version="py39",
)"""
    return f"""{_SDK_FIRST}{made}
predictor = model.deploy(
    initial_instance_count=1, instance_type="{instance_type}", endpoint_name="{endpoint}"
)
body = {_BODY}
print(predictor.predict(body))"""


def _sdk_ask(endpoint: str) -> str:
    return f"""from sagemaker.huggingface import HuggingFacePredictor

predictor = HuggingFacePredictor("{endpoint}")
body = {_BODY}
print(predictor.predict(body))"""


def _aws_deploy(model_id: str, endpoint: str, instance_type: str) -> str:
    return f"""{_ENVIRONMENT}
aws sagemaker create-model --model-name {endpoint} \\
  --execution-role-arn {_ROLE} \\
  --primary-container '{{"Environment": {{"HF_MODEL_ID": "{model_id}"}}}}'
aws sagemaker create-endpoint-config --endpoint-config-name {endpoint} --production-variants \\
  VariantName=AllTraffic,ModelName={endpoint},InitialInstanceCount=1,InstanceType={instance_type}
aws sagemaker create-endpoint --endpoint-name {endpoint} --endpoint-config-name {endpoint}
aws sagemaker wait endpoint-in-service --endpoint-name {endpoint}
{_aws_invoke(endpoint)}"""


def _aws_invoke(endpoint: str) -> str:
    return f"""echo '{_BODY}' > request.json
aws sagemaker-runtime invoke-endpoint --endpoint-name {endpoint} \\
  --content-type application/json --body fileb://request.json answer.json
cat answer.json"""


def _command_line(model_id: str, endpoint: str, instance_type: str) -> str:
    options = f"--endpoint-name {endpoint} --instance-type {instance_type} --wait"
    return f"zerostart deploy {model_id} \\\n  {options}\n{_invoke(endpoint)}"


def _invoke(endpoint: str) -> str:
    return f'zerostart invoke {endpoint} "{_TEXT}" \\\n  --labels {",".join(_LABELS)}'


def _pipeline(model_id: str) -> str:
    return f'''from zerostart import pipeline

classify = pipeline("zero-shot-classification", model="{model_id}")
print(classify("{_TEXT}", candidate_labels=[{_LIST}]))'''


def _curl_deploy(model_id: str, endpoint: str, instance_type: str, region: str) -> str:
    def call(operation: str, document: str) -> str:
        return f"sagemaker {operation} '{document}'"

    model = f'{{"ModelName": "{endpoint}", "PrimaryContainer": {{"Environment": {{"HF_MODEL_ID": "{model_id}"}}}}}}'
    variant = f'{{"VariantName": "AllTraffic", "ModelName": "{endpoint}", "InstanceType": "{instance_type}"}}'
    config = f'{{"EndpointConfigName": "{endpoint}", "ProductionVariants": [{variant}]}}'
    wanted = f'{{"EndpointName": "{endpoint}", "EndpointConfigName": "{endpoint}"}}'
    named = f'{{"EndpointName": "{endpoint}"}}'
    return f"""{_ENVIRONMENT}
sagemaker() {{
  curl -sS ${{AWS_CA_BUNDLE:+--cacert "$AWS_CA_BUNDLE"}} "$AWS_ENDPOINT_URL/" \\
    --aws-sigv4 "aws:amz:{region}:sagemaker" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
    -H "X-Amz-Target: SageMaker.$1" -H "Content-Type: application/x-amz-json-1.1" -d "$2"
}}
{call("CreateModel", model)}
{call("CreateEndpointConfig", config)}
{call("CreateEndpoint", wanted)}
while {call("DescribeEndpoint", named)} | grep -q Creating; do sleep 1; done
{_curl_invoke(endpoint)}"""


def _curl_invoke(endpoint: str) -> str:
    return f'''curl -sS ${{AWS_CA_BUNDLE:+--cacert "$AWS_CA_BUNDLE"}} \\
  "$AWS_ENDPOINT_URL/endpoints/{endpoint}/invocations" \\
  -H "Authorization: Bearer $AWS_SECRET_ACCESS_KEY" -H "Content-Type: application/json" \\
  -d '{{"inputs": "{_TEXT}", "candidate_labels": [{_LIST}]}}\''''
