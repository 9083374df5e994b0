"""JumpStart's metadata through sagemaker v2."""

import json

from sagemaker import image_uris, instance_types, model_uris, script_uris
from sagemaker.jumpstart.model import JumpStartModel
from sagemaker.jumpstart.notebook_utils import list_jumpstart_models

MODEL = "zerostart-zstc-small"
ids = list_jumpstart_models(filter="task == zstc")
instance_type = instance_types.retrieve_default(region=None, model_id=MODEL, model_version="*", scope="inference")
image = image_uris.retrieve(
    region=None, framework=None, image_scope="inference", model_id=MODEL, model_version="*", instance_type=instance_type
)
script = script_uris.retrieve(model_id=MODEL, model_version="*", script_scope="inference")
artefact = model_uris.retrieve(model_id=MODEL, model_version="*", model_scope="inference")
unknown = ""
try:
    JumpStartModel(model_id="no-zstc-such", role="arn:aws:iam::000000000000:role/x")
except Exception as error:  # noqa: BLE001 - the SDK's own words are what is looked at
    unknown = str(error)
examples = JumpStartModel(model_id=MODEL, role="arn:aws:iam::000000000000:role/x").retrieve_all_examples()
print(  # noqa: T201
    json.dumps(
        {
            "ids": ids,
            "instance_type": instance_type,
            "image": image,
            "script": script,
            "artefact": artefact,
            "unknown": unknown,
            "example": examples[0].body,
        }
    )
)
