"""The cores of a simulated machine."""

import heapq
from collections.abc import Sequence
from itertools import count

import simpy


class Cores:
    """A node's cores, shared in time by all that runs on them (processor sharing).

    All tasks are served at one speed, so the one that is done next has the least service left: a heap by the service,
    counted from the start, at which each is done.
    """

    def __init__(self, env: simpy.Environment, rates: Sequence[float]) -> None:
        self._env = env
        self._rates = rates
        self._tasks: list[tuple[float, int, simpy.Event]] = []
        self._numbers = count()
        self._served_s = 0.0
        self._at_s = 0.0
        self._plan_number = 0

    def work(self, seconds: float) -> simpy.Event:
        """An event that comes when so many seconds of one free core were spent on a new task."""
        done = self._env.event()
        self._advance()
        heapq.heappush(self._tasks, (self._served_s + seconds, next(self._numbers), done))
        self._plan()
        return done

    def _speed(self) -> float:
        running, cores = len(self._tasks), len(self._rates)
        return self._rates[running - 1] if running <= cores else self._rates[-1] * cores / running

    def _advance(self) -> None:
        if self._tasks:
            self._served_s += (self._env.now - self._at_s) * self._speed()
        self._at_s = self._env.now

    def _plan(self) -> None:
        """Wake when the next task is done; a plan that was made before is void."""
        self._plan_number += 1
        if self._tasks:
            left_s = max(0.0, self._tasks[0][0] - self._served_s) / self._speed()
            timer = self._env.timeout(left_s, self._plan_number)
            timer.callbacks.append(self._wake)

    def _wake(self, timer: simpy.Event) -> None:
        if timer.value == self._plan_number:
            self._advance()
            self._served_s, _, done = heapq.heappop(self._tasks)
            self._plan()
            done.succeed()
