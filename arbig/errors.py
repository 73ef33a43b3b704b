"""The faults a caller can act on, each with its gRPC status and a stable reason."""

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "arbig"


class ArbigError(Exception):
    """A refusal by our own rules; `reason` is stable, the message is for people."""

    status = grpc.StatusCode.FAILED_PRECONDITION

    def __init__(self, message: str, reason: str, field: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field

    def to_status(self) -> status_pb2.Status:
        """Give the google.rpc.Status that goes over the wire: ErrorInfo and, for a field, BadRequest."""
        details: list[error_details_pb2.ErrorInfo | error_details_pb2.BadRequest] = [
            error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN)
        ]
        if self.field:
            violation = error_details_pb2.BadRequest.FieldViolation(
                field=self.field, description=str(self), reason=self.reason
            )
            details.append(error_details_pb2.BadRequest(field_violations=[violation]))
        status = status_pb2.Status(code=self.status.value[0], message=str(self))
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status


class InvalidField(ArbigError):
    """A field of the request is missing or out of its range."""

    status = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(self, field: str, message: str, reason: str = "INVALID_FIELD") -> None:
        super().__init__(f"{field}: {message}", reason, field)


class NotFound(ArbigError):
    """What the request names does not exist."""

    status = grpc.StatusCode.NOT_FOUND


class AlreadyExists(ArbigError):
    """The id is taken by something else."""

    status = grpc.StatusCode.ALREADY_EXISTS


class Refused(ArbigError):
    """The request is fine, the state of things is not."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class Unavailable(ArbigError):
    """Not now; nothing was done, and nothing is queued."""

    status = grpc.StatusCode.UNAVAILABLE


class OutOfRange(ArbigError):
    """The cursor lies ahead of the stream."""

    status = grpc.StatusCode.OUT_OF_RANGE


class ConfigError(Exception):
    """The configuration cannot work; the message names the setting."""


def from_rpc(error: grpc.RpcError) -> tuple[str, str]:
    """Give the stable reason and the field of an error that came over gRPC; "" where it has none."""
    reason = field = ""
    status = rpc_status.from_call(error)
    for packed in status.details if status else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if packed.Unpack(info):
            reason = info.reason
        elif packed.Unpack(bad) and bad.field_violations:
            field = bad.field_violations[0].field
    return reason, field
