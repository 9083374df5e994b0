"""Transform jobs as JSON of our own, for what AWS's API has no words: how far a job is, and what one would take."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zerostart.errors import ZerostartError
from zerostart.server.aws.control_plane import checked_input
from zerostart.server.aws.edge import AwsEdge
from zerostart.server.aws.errors import RUNTIME, error_response
from zerostart.server.aws.sigv4 import AuthenticationError
from zerostart.server.aws.transform_job import TransformJobOperations, progress_document
from zerostart.services.arn import Arns
from zerostart.services.transform_job import TransformJobService
from zerostart.serving.http import read_body

_MOST_BODY_BYTES = 4 * 1024 * 1024
_PATH = "/zerostart/transform-jobs"


def job_routes(service: TransformJobService, arns: Arns, edge: AwsEdge) -> list[Route]:
    """GET .../NAME tells how far a job is; POST .../estimate, asked as CreateTransformJob, what one would take."""
    operations = TransformJobOperations(service, arns)

    async def progress(request: Request) -> Response:
        try:
            edge.authorise_request(request, "sagemaker:DescribeTransformJob")
            state = await run_in_threadpool(service.describe_transform_job, request.path_params["name"])
        except (AuthenticationError, ZerostartError) as error:
            return error_response(error, RUNTIME, "transform-job")
        return JSONResponse(progress_document(state))

    async def estimate(request: Request) -> Response:
        try:
            body = await read_body(request, _MOST_BODY_BYTES)
            edge.authorise_request(request, "sagemaker:CreateTransformJob", body)
            asked = checked_input("CreateTransformJob", body)
            return JSONResponse(await run_in_threadpool(operations.estimate_transform_job, asked))
        except (AuthenticationError, ZerostartError) as error:
            return error_response(error, RUNTIME, "transform-job")

    return [
        Route(f"{_PATH}/estimate", estimate, methods=["POST"]),
        Route(f"{_PATH}/{{name}}", progress, methods=["GET"]),
    ]
