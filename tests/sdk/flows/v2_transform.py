"""Batch transform of sagemaker v2: a Hugging Face model with logs, a JumpStart model without."""

import json

from sagemaker.huggingface import HuggingFaceModel
from sagemaker.jumpstart.model import JumpStartModel
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.session import Session

session = Session(default_bucket="flow-transform")
bucket = session.default_bucket()
request = {"inputs": "one day I will see the world", "parameters": {"candidate_labels": ["travel", "cooking"]}}
lines = "\n".join(json.dumps(request) for _ in range(20))
uri = S3Uploader.upload_string_as_file_body(lines, f"s3://{bucket}/in/a.jsonl", sagemaker_session=session)

model = HuggingFaceModel(
    env={"HF_MODEL_ID": "zerostart-zstc-small", "HF_TASK": "zero-shot-classification"},
    role="arn:aws:iam::000000000000:role/flow",
    transformers_version="4.26",
    pytorch_version="1.13",
    py_version="py39",
    sagemaker_session=session,
)
options = {"instance_count": 1, "instance_type": "ml.m5.xlarge", "strategy": "SingleRecord", "assemble_with": "Line"}
transformer = model.transformer(output_path=f"s3://{bucket}/huggingface", **options)
transformer.transform(data=uri, content_type="application/json", split_type="Line", logs=True, wait=True)
first = S3Downloader.read_file(f"s3://{bucket}/huggingface/a.jsonl.out", sagemaker_session=session)

jumpstart = JumpStartModel(
    model_id="zerostart-zstc-small", role="arn:aws:iam::000000000000:role/flow", sagemaker_session=session
)
transformer = jumpstart.transformer(output_path=f"s3://{bucket}/jumpstart", **options)
transformer.transform(data=uri, content_type="application/json", split_type="Line", logs=False, wait=True)
second = S3Downloader.read_file(f"s3://{bucket}/jumpstart/a.jsonl.out", sagemaker_session=session)
answers = [json.loads(line) for line in first.splitlines()]
print(json.dumps({"count": len(answers), "answer": answers[-1], "same": first == second}))  # noqa: T201
