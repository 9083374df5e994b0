"""ModelBuilder of sagemaker v3 from a JumpStart id."""

import json

from sagemaker.core.jumpstart.configs import JumpStartConfig
from sagemaker.serve.model_builder import ModelBuilder

builder = ModelBuilder.from_jumpstart_config(
    JumpStartConfig(model_id="zerostart-zstc-small"), role_arn="arn:aws:iam::000000000000:role/flow"
)
builder.build()
endpoint = builder.deploy(endpoint_name="v3-builder")
body = {"sequences": "one day I will see the world", "candidate_labels": ["travel", "cooking"]}
reply = endpoint.invoke(body=json.dumps(body), content_type="application/json", accept="application/json")
answer = json.loads(reply.body.read())
endpoint.delete()
print(json.dumps({"answer": answer}))  # noqa: T201
