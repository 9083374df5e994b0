"""Instances that have to go: told to stop, then waited for, and killed when they take too long."""

import time
from dataclasses import dataclass

from zerostart.hosting.launcher import Instance
from zerostart.hosting.router import Router


@dataclass(eq=False)
class _Leaving:
    """An instance that has to go; once it was told to, when it will be killed."""

    instance: Instance
    endpoint: str
    deadline_s: float | None = None


class Departures:
    """The instances that are leaving. Of the reconciler's thread alone."""

    def __init__(self, router: Router, grace_s: float) -> None:
        self._router = router
        self._grace_s = grace_s
        self._leaving: list[_Leaving] = []

    def send(self, endpoint: str, instance: Instance, *, patient: bool) -> None:
        """Have an instance end; patiently once it holds no call any more, however long that takes."""
        leaving = _Leaving(instance, endpoint)
        self._leaving.append(leaving)
        if not patient:
            self._tell(leaving)

    def hurry(self, endpoint: str | None = None) -> None:
        """Wait for calls no longer than the grace: those of an endpoint, or all."""
        for leaving in self._leaving:
            if endpoint in {None, leaving.endpoint}:
                self._tell(leaving)

    def look(self) -> None:
        """Tell those that hold no call any more, kill those that are late, and forget those that ended."""
        for leaving in list(self._leaving):
            if not self._router.outstanding(leaving.instance.id):
                self._tell(leaving)
            late = leaving.deadline_s is not None and time.monotonic() > leaving.deadline_s
            if late and leaving.instance.is_alive():
                leaving.instance.kill()
            if not leaving.instance.is_alive():
                self._leaving.remove(leaving)

    def instances(self, endpoint: str | None = None) -> list[Instance]:
        """Those that did not end yet: of an endpoint, or all."""
        return [leaving.instance for leaving in self._leaving if endpoint in {None, leaving.endpoint}]

    def _tell(self, leaving: _Leaving) -> None:
        if leaving.deadline_s is None:
            leaving.instance.stop()
            leaving.deadline_s = time.monotonic() + self._grace_s
