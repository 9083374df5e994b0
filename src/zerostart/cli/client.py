"""The boto3 clients of the command line, which know this installation's address and keys, and AWS's errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zerostart.credentials import AccessKey, client_key
from zerostart.errors import ZerostartError
from zerostart.settings import Settings, load_settings, server_address

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


def autoscaling() -> Any:
    """A client of Application Auto Scaling."""
    return _client("application-autoscaling")


def s3() -> Any:
    """A client of the S3 gateway."""
    return _client("s3")


def variables(settings: Settings, key: AccessKey) -> dict[str, str]:
    """What lets AWS's clients use this installation with a key."""
    from zerostart.services.access_key import client_variables

    return client_variables(key, server_address(settings), settings.region)


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
            f"No server answers on {server_address(load_settings()).url}: run zerostart serve"
        ) from error
    except BotoCoreError as error:
        raise ServerRefused(str(error)) from error


def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    settings = load_settings()
    pair, address = client_key(settings.credentials_path), server_address(settings)
    session = boto3.session.Session(
        aws_access_key_id=pair.access_key_id,
        aws_secret_access_key=pair.secret_access_key,
        region_name=settings.region,
    )
    return session.client(  # type: ignore[call-overload]
        service,
        endpoint_url=address.url,
        verify=address.ca_bundle,
        config=Config(connect_timeout=5, read_timeout=70),
    )
