"""The flow of AWS's own notebook with sagemaker v2: roles, buckets, a model that the SDK packs again and uploads."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from sagemaker import get_execution_role, image_uris, instance_types, model_uris, script_uris
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.session import Session

MODEL, VERSION = "zerostart-zstc-small", "*"
role, session = get_execution_role(), Session()
bucket = session.default_bucket()
S3Uploader.upload_string_as_file_body("some text", f"s3://{bucket}/notes/a.txt", sagemaker_session=session)
with TemporaryDirectory() as folder:
    S3Downloader.download(f"s3://{bucket}/notes", folder, sagemaker_session=session)
    note = (Path(folder) / "a.txt").read_text()
instance_type = instance_types.retrieve_default(region=None, model_id=MODEL, model_version=VERSION, scope="inference")
model = Model(
    image_uri=image_uris.retrieve(
        region=None,
        framework=None,
        image_scope="inference",
        model_id=MODEL,
        model_version=VERSION,
        instance_type=instance_type,
    ),
    source_dir=script_uris.retrieve(model_id=MODEL, model_version=VERSION, script_scope="inference"),
    model_data=model_uris.retrieve(model_id=MODEL, model_version=VERSION, model_scope="inference"),
    entry_point="inference.py",
    role=role,
    predictor_cls=Predictor,
    name="notebook-flow",
    sagemaker_session=session,
)
predictor = model.deploy(
    initial_instance_count=1, instance_type=instance_type, predictor_cls=Predictor, endpoint_name="notebook-flow"
)
body = json.dumps({"sequences": "one day I will see the world", "candidate_labels": ["travel", "cooking", "dancing"]})
answer = json.loads(
    predictor.predict(body.encode(), {"ContentType": "application/json", "Accept": "application/json;verbose"})
)
predictor.delete_model()
predictor.delete_endpoint()
print(json.dumps({"answer": answer, "role": role, "bucket": bucket, "note": note}))  # noqa: T201
