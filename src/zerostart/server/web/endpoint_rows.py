"""Endpoints as the pages show them: rows of a list, and all of one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import NotFound
from zerostart.metadata.endpoint import DeployedVariant, Endpoint, EndpointStatus
from zerostart.metadata.rows import PageRequest
from zerostart.metadata.scalable_target import ScaledVariant
from zerostart.server.web.contexts import EndpointRow
from zerostart.server.web.endpoint_contexts import EndpointDetails, InstanceRow, LogLine, ScalingRow, VariantRow
from zerostart.server.web.formats import NOTHING, ago, bytes_shown, duration_shown, span_shown
from zerostart.server.web.scaling_rows import scaling_row
from zerostart.server.web.traffic import TrafficWatch
from zerostart.services.logs import LogEvent, Span

_LOG_LINES = 60
_LOG_GROUP = "/aws/sagemaker/Endpoints/"
_READY = (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING, EndpointStatus.SYSTEM_UPDATING)
_SHOWN_OF_LOGS = ("at", "level", "logger", "message", "request_id")


@dataclass(frozen=True)
class EndpointViews:
    """Reads endpoints for the pages. Its methods wait for the database: call them in a thread."""

    parts: ServerParts
    traffic: TrafficWatch

    def rows(self, limit: int, next_token: str | None = None) -> tuple[Sequence[EndpointRow], str | None]:
        """The newest endpoints, and where the list goes on. Raises InvalidInput for a token that was not given out."""
        page = self.parts.endpoints.list_endpoints(PageRequest(limit=limit, next_token=next_token))
        return [self._row(endpoint) for endpoint in page.records], page.next_token

    def details(self, name: str) -> EndpointDetails:
        """All of one endpoint. Raises NotFound."""
        endpoint = self.parts.endpoints.describe_endpoint(name).endpoint
        activity = self.parts.activity.of(endpoint)
        ready = {each.name: len(each.instances) for each in self.parts.router.variants(name)}
        kept_up = [each for each in endpoint.variants if each.serverless is None and not activity.is_asleep]
        return EndpointDetails(
            row=self._row(endpoint),
            arn=self.parts.arns.of("endpoint", name),
            config_name=endpoint.config_name,
            failure_reason=endpoint.failure_reason,
            coming=endpoint.coming.config_name if endpoint.coming else None,
            missing=sum(max(0, each.instance_count - ready.get(each.name, 0)) for each in kept_up),
            sleeps_after=span_shown(activity.idle_timeout_s) if activity.idle_timeout_s is not None else "",
            variants=[self._variant(name, each) for each in endpoint.variants],
            scaling=self._scaling(endpoint),
            instances=self._instances(name),
            log=self._log(name),
        )

    def _row(self, endpoint: Endpoint) -> EndpointRow:
        traffic, activity = self.traffic.of(endpoint.name), self.parts.activity.of(endpoint)
        wanted = sum(variant.instance_count for variant in endpoint.variants)
        return EndpointRow(
            name=endpoint.name,
            status=endpoint.status.value,
            is_ready=endpoint.status in _READY,
            models=", ".join(dict.fromkeys(variant.model_id for variant in endpoint.variants)),
            instances=f"{activity.instances} of {wanted}",
            memory=bytes_shown(activity.memory_bytes) if activity.memory_bytes else NOTHING,
            requests_per_minute=f"{traffic.requests_per_minute:,.0f}",
            p50=_latency(traffic.p50_s),
            p99=_latency(traffic.p99_s),
            errors=traffic.errors,
            created=ago(endpoint.created_at),
            idle=span_shown(activity.idle_s),
            is_asleep=activity.is_asleep,
        )

    def _variant(self, endpoint: str, variant: DeployedVariant) -> VariantRow:
        ready = {each.name: len(each.instances) for each in self.parts.router.variants(endpoint)}
        serverless = variant.serverless
        isolated = "not isolated" if self.parts.models.not_isolated else "isolated"
        return VariantRow(
            name=variant.name,
            model_id=variant.model_id,
            model_name=variant.model_name,
            instances=f"{ready.get(variant.name, 0)} of {variant.instance_count}",
            instance_type=f"serverless, {serverless.memory_mb} MB" if serverless else variant.instance_type,
            weight=f"{variant.weight:g}",
            isolation="required" if variant.network_isolation else isolated,
        )

    def _scaling(self, endpoint: Endpoint) -> Sequence[ScalingRow]:
        of = (ScaledVariant(endpoint.name, variant.name) for variant in endpoint.variants)
        return [scaling_row(scaling) for each in of if (scaling := self.parts.autoscaling.scaling_of(each))]

    def _instances(self, endpoint: str) -> Sequence[InstanceRow]:
        found = [each for variant in self.parts.router.variants(endpoint) for each in variant.instances]
        return [
            InstanceRow(each.id, each.spec.variant, bytes_shown(each.memory_bytes()), each.spec.threads)
            for each in found
        ]

    def _log(self, endpoint: str) -> Sequence[LogLine]:
        """The end of the newest instance's log; nothing before there is one."""
        group = _LOG_GROUP + endpoint
        try:
            streams = self.parts.logs.streams(group)
            newest = max(streams, key=lambda stream: stream.last_ms).name
            page = self.parts.logs.events(group, newest, Span(), limit=_LOG_LINES, token=None, from_head=False)
        except (NotFound, ValueError):
            return []
        return [_log_line(event) for event in page.events]


def _latency(seconds: float | None) -> str:
    return NOTHING if seconds is None else duration_shown(seconds)


def _log_line(event: LogEvent) -> LogLine:
    """A line of our own logs taken apart; any other as it is."""
    try:
        line = json.loads(event.message)
        more = [f"{key}={value}" for key, value in line.items() if key not in _SHOWN_OF_LOGS]
        return LogLine(line["at"][11:19], str(line["level"]), " ".join([str(line["message"]), *more]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return LogLine("", "", event.message)
