"""HuggingFaceModel of sagemaker v2 by HF_MODEL_ID, with a role and a default bucket."""

import json

from sagemaker.huggingface import HuggingFaceModel
from sagemaker.session import Session

session = Session(default_bucket="flow-huggingface")
model = HuggingFaceModel(
    env={"HF_MODEL_ID": "zerostart-zstc-small", "HF_TASK": "zero-shot-classification"},
    role="arn:aws:iam::000000000000:role/flow",
    transformers_version="4.26",
    pytorch_version="1.13",
    py_version="py39",
    sagemaker_session=session,
)
predictor = model.deploy(initial_instance_count=1, instance_type="ml.m5.xlarge")
answer = predictor.predict(
    {"inputs": "one day I will see the world", "parameters": {"candidate_labels": ["travel", "cooking"]}}
)
predictor.delete_model()
predictor.delete_endpoint()
print(json.dumps({"answer": answer}))  # noqa: T201
