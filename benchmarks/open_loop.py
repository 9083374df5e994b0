"""Callers that come when they come, whether those before them were answered or not: an open loop.

A closed loop (callers that wait for their answer before they ask again) asks less of a server the slower it is, and so
hides its queues; and each latency here counts from when the call was due, not from when it could be sent (Schroeder,
Wierman and Harchol-Balter 2006, https://www.usenix.org/conference/nsdi-06/open-versus-closed-cautionary-tale).
"""

import asyncio
import json
import time
from collections.abc import Sequence

import aiohttp
from tests.processes import ServerProcess

from benchmarks.texts import LABELS


class OpenLoop:
    """Callers of one endpoint who ask about single texts with ten labels. Any error ends the benchmark."""

    def __init__(self, server: ServerProcess, endpoint: str) -> None:
        self._url = f"{server.address}/endpoints/{endpoint}/invocations"
        self._headers = {
            "Authorization": f"Bearer {server.keys.secret_access_key}",
            "Content-Type": "application/json",
        }

    async def one_by_one(self, texts: Sequence[str]) -> list[float]:
        """Seconds of calls, each after the answer to the one before."""
        async with self._session() as session:
            taken = []
            for text in texts:
                began_s = time.perf_counter()
                await self._call(session, text)
                taken.append(time.perf_counter() - began_s)
            return taken

    async def together(self, texts: Sequence[str], callers: int) -> None:
        """So many callers, each of whom asks about all the texts, one after the other."""
        await asyncio.gather(*(self.one_by_one(texts) for _ in range(callers)))

    async def at(self, arrivals_s: Sequence[float], texts: Sequence[str]) -> list[tuple[float, float]]:
        """When each call was due and when it was answered, in seconds from the start."""
        async with self._session() as session:
            began_s = time.perf_counter()

            async def call(due_s: float, text: str) -> tuple[float, float]:
                await asyncio.sleep(began_s + due_s - time.perf_counter())
                await self._call(session, text)
                return due_s, time.perf_counter() - began_s

            return list(await asyncio.gather(*map(call, arrivals_s, texts)))

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=self._headers)

    async def _call(self, session: aiohttp.ClientSession, text: str) -> None:
        body = json.dumps({"inputs": text, "candidate_labels": LABELS})
        async with session.post(self._url, data=body) as answer:
            content = await answer.read()
            if answer.status != 200:
                raise SystemExit(f"The endpoint answered {answer.status}: {content!r}")
