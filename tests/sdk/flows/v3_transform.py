"""Batch transform of sagemaker v3: a model of ModelBuilder, its transformer."""

import json

import boto3
from sagemaker.core.jumpstart.configs import JumpStartConfig
from sagemaker.serve.model_builder import ModelBuilder

s3 = boto3.client("s3")
s3.create_bucket(Bucket="flow-transform-v3")
request = {"inputs": "one day I will see the world", "parameters": {"candidate_labels": ["travel", "cooking"]}}
s3.put_object(Bucket="flow-transform-v3", Key="in/a.jsonl", Body="\n".join(json.dumps(request) for _ in range(20)))

builder = ModelBuilder.from_jumpstart_config(
    JumpStartConfig(model_id="zerostart-zstc-small"), role_arn="arn:aws:iam::000000000000:role/flow"
)
builder.build()
transformer = builder.transformer(
    instance_count=1,
    instance_type="ml.m5.xlarge",
    strategy="MultiRecord",
    assemble_with="Line",
    output_path="s3://flow-transform-v3/out",
)
transformer.transform(
    "s3://flow-transform-v3/in/a.jsonl", content_type="application/json", split_type="Line", wait=True, logs=True
)
output = s3.get_object(Bucket="flow-transform-v3", Key="out/a.jsonl.out")["Body"].read()
answers = [json.loads(line) for line in output.splitlines()]
print(json.dumps({"count": len(answers), "answer": answers[-1]}))  # noqa: T201
