"""JumpStartModel of sagemaker v2: deploy, predict, attach, delete."""

import json
import sys

from sagemaker.jumpstart.model import JumpStartModel
from sagemaker.predictor import retrieve_default

role = {"role": "arn:aws:iam::000000000000:role/flow"} if "--role" in sys.argv else {}
model = JumpStartModel(model_id="zerostart-zstc-small", **role)
predictor = model.deploy()
body = {"sequences": "one day I will see the world", "candidate_labels": ["travel", "cooking", "dancing"]}
answer = predictor.predict(body)
attached = retrieve_default(predictor.endpoint_name).predict(body)
predictor.delete_model()
predictor.delete_predictor()
print(json.dumps({"answer": answer, "attached": attached, "endpoint": predictor.endpoint_name}))  # noqa: T201
