"""What Serve makes of a class and of its errors, for those who work without Serve."""

from typing import TYPE_CHECKING, TypeVar, cast

from ray.exceptions import RayTaskError

if TYPE_CHECKING:
    from ray.serve import Deployment

Replica = TypeVar("Replica")


def replica_class(deployment: type[Replica]) -> type[Replica]:
    """The class below `@serve.deployment`: its instances are replicas that run in this process.

    Type checkers take the decorated name for the class itself; Ray makes it a `Deployment`.
    """
    return cast("type[Replica]", cast("Deployment", deployment).func_or_class)


def raised_by_replica(error: Exception, method: str = "analyze", traceback: str = "Traceback") -> Exception:
    """The error as the caller of a handle gets it: of a class that is Ray's and the error's own."""
    wrapped = RayTaskError(method, traceback, error)  # type: ignore[no-untyped-call]
    caught: Exception = wrapped.as_instanceof_cause()  # type: ignore[no-untyped-call]
    return caught
