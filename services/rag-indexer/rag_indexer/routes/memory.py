"""Turns kept and found again for the session-store: `/internal/memory…`."""

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from rag_indexer.domain.recollections import Recollections
from sage_contracts import recollections as wire


@post(wire.REMEMBER.route, status_code=wire.REMEMBER.status)
async def remember(data: JSONBody[wire.Remember], recollections: NamedDependency[Recollections]) -> wire.Stored:
    return await recollections.remember(data)


@post(wire.RECALL.route, status_code=wire.RECALL.status)
async def recall(data: JSONBody[wire.Recall], recollections: NamedDependency[Recollections]) -> wire.RecallAnswer:
    return await recollections.recall(data)


@post(wire.FORGET.route, status_code=wire.FORGET.status)
async def forget(data: JSONBody[wire.Forget], recollections: NamedDependency[Recollections]) -> wire.Gone:
    return await recollections.forget(data)


ROUTES = [remember, recall, forget]
