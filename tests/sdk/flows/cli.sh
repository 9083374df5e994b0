#!/bin/sh
# The AWS CLI: buckets and a multipart upload, who one is, models and an endpoint.
set -eu
aws="$1"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
head -c 12582912 /dev/urandom > "$folder/big"
"$aws" s3 mb s3://flow-cli
"$aws" s3 cp "$folder/big" s3://flow-cli/a/big --no-progress
"$aws" s3 cp s3://flow-cli/a/big "$folder/back" --no-progress
cmp "$folder/big" "$folder/back"
"$aws" s3 ls s3://flow-cli/a/
"$aws" s3 sync "$folder" s3://flow-cli/all --no-progress
"$aws" s3 rm s3://flow-cli --recursive
"$aws" s3 rb s3://flow-cli
"$aws" sts get-caller-identity --query Account --output text
"$aws" iam get-role --role-name zerostart --query Role.Arn --output text
"$aws" sagemaker create-model --model-name cli --execution-role-arn arn:aws:iam::000000000000:role/flow \
  --primary-container '{"Environment": {"HF_MODEL_ID": "zerostart-zstc-small"}}'
"$aws" sagemaker create-endpoint-config --endpoint-config-name cli --production-variants \
  VariantName=AllTraffic,ModelName=cli,InitialInstanceCount=1,InstanceType=ml.m5.large
"$aws" sagemaker create-endpoint --endpoint-name cli --endpoint-config-name cli
"$aws" sagemaker wait endpoint-in-service --endpoint-name cli
"$aws" sagemaker list-endpoints --name-contains cli --query 'Endpoints[].EndpointStatus' --output text
"$aws" sagemaker-runtime invoke-endpoint --endpoint-name cli --content-type application/json \
  --body '{"inputs": "one day I will see the world", "candidate_labels": ["travel", "cooking"]}' "$folder/answer" > /dev/null
cat "$folder/answer"
echo
"$aws" logs describe-log-groups --query 'logGroups[].logGroupName' --output text
stream="$("$aws" logs describe-log-streams --log-group-name /aws/sagemaker/Endpoints/cli --query 'logStreams[0].logStreamName' --output text)"
"$aws" logs get-log-events --log-group-name /aws/sagemaker/Endpoints/cli --log-stream-name "$stream" --start-from-head \
  --query 'events[].message' --output text
"$aws" s3 mb s3://flow-cli-transform
echo '{"inputs": "one day I will see the world", "candidate_labels": ["travel", "cooking"]}' > "$folder/in.jsonl"
"$aws" s3 cp "$folder/in.jsonl" s3://flow-cli-transform/in/ --no-progress
"$aws" sagemaker create-transform-job --transform-job-name cli --model-name cli \
  --transform-input 'DataSource={S3DataSource={S3DataType=S3Prefix,S3Uri=s3://flow-cli-transform/in/}},SplitType=Line' \
  --transform-output S3OutputPath=s3://flow-cli-transform/out,AssembleWith=Line \
  --transform-resources InstanceType=ml.m5.large,InstanceCount=1
"$aws" sagemaker wait transform-job-completed-or-stopped --transform-job-name cli
"$aws" s3 cp s3://flow-cli-transform/out/in.jsonl.out - | sed 's/^/transformed: /'
"$aws" sagemaker delete-endpoint --endpoint-name cli
"$aws" sagemaker delete-endpoint-config --endpoint-config-name cli
"$aws" sagemaker delete-model --model-name cli
