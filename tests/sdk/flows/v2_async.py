"""An asynchronous deployment with sagemaker v2: predict_async, get_result with a waiter."""

import json

from sagemaker.async_inference import AsyncInferenceConfig, WaiterConfig
from sagemaker.jumpstart.model import JumpStartModel

predictor = JumpStartModel(model_id="zerostart-zstc-small").deploy(async_inference_config=AsyncInferenceConfig())
body = {"sequences": "one day I will see the world", "candidate_labels": ["travel", "cooking"]}
response = predictor.predict_async(data=json.dumps(body).encode(), initial_args={"ContentType": "application/json"})
answer = json.loads(response.get_result(WaiterConfig(max_attempts=30, delay=2)))
predictor.delete_model()
predictor.delete_endpoint()
print(json.dumps({"answer": answer, "output": response.output_path}))  # noqa: T201
