"""The boto3 clients of the command line, which know this installation's address and keys, and AWS's errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zerostart.credentials import client_key
from zerostart.errors import ZerostartError
from zerostart.settings import client_endpoint_url, load_settings

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

ROLE_ARN = "arn:aws:iam::000000000000:role/zerostart"


class ServerRefused(ZerostartError):
    """The server answered with an error, or could not be reached."""


def sagemaker() -> "SageMakerClient":
    """A client of the control plane."""
    client: SageMakerClient = _client("sagemaker")
    return client


def runtime() -> "SageMakerRuntimeClient":
    """A client that invokes endpoints."""
    client: SageMakerRuntimeClient = _client("sagemaker-runtime")
    return client


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn botocore's errors into one line that says what to do."""
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

    try:
        yield
    except ClientError as error:
        raise ServerRefused(error.response["Error"].get("Message") or str(error)) from error
    except EndpointConnectionError as error:
        raise ServerRefused(
            f"No server answers on {client_endpoint_url(load_settings())}: run zerostart serve"
        ) from error
    except BotoCoreError as error:
        raise ServerRefused(str(error)) from error


def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    settings = load_settings()
    pair = client_key(settings.credentials_path)
    session = boto3.session.Session(
        aws_access_key_id=pair.access_key_id,
        aws_secret_access_key=pair.secret_access_key,
        region_name=settings.region,
    )
    return session.client(  # type: ignore[call-overload]
        service, endpoint_url=client_endpoint_url(settings), config=Config(connect_timeout=5, read_timeout=70)
    )
