"""The flow of AWS's own notebook with sagemaker v2: roles, buckets, a model that the SDK packs again and uploads.

It ends in the notebook's measurement, on the first texts of the data that AWS publishes.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import pandas as pd
from sagemaker import get_execution_role, image_uris, instance_types, model_uris, script_uris
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.session import Session
from sklearn.metrics import classification_report

MOST_TEXTS = 60
DATA = "jumpstart-soln-zero-shot-text-clf-data.csv"
RENAMED = {
    "Health & Fitness": "Health",
    "Recreation & Leisure": "Leisure",
    "Philanthropic": "Philanthropy",
    "Time Management/Organization": "Time Management",
    "Education/Training": "Education",
}
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

solutions = f"sagemaker-solutions-prod-{boto3.Session().region_name}"
folder = "0.2.0/Zero-shot-text-classification/1.0.0/artifacts/data"
boto3.client("s3").download_file(solutions, f"{folder}/{DATA}", DATA)
texts = pd.read_csv(DATA)
texts["Resolution_Category"] = texts["Resolution_Category"].replace(RENAMED)
texts = texts.loc[texts["Resolution_Category"] != "Family/Friends/Relationships"].reset_index(drop=True)
labels = list(texts["Resolution_Category"].unique())
texts = texts.iloc[:MOST_TEXTS]
predicted = []
for text in texts["text"]:
    question = json.dumps({"sequences": text.lower(), "candidate_labels": labels}).encode()
    result = predictor.predict(question, {"ContentType": "application/json", "Accept": "application/json"})
    predicted.append(json.loads(result)["labels"][0])
report = classification_report(texts["Resolution_Category"], predicted, output_dict=True, zero_division=0)

predictor.delete_model()
predictor.delete_endpoint()
found = {"answer": answer, "role": role, "bucket": bucket, "note": note}
print(json.dumps(found | {"labels": sorted(labels), "accuracy": report["accuracy"]}))  # noqa: T201
