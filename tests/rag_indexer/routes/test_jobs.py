"""Builds as jobs: their events, their end before time, folders that are followed."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from rag_indexer.adapters.folder_watcher import FolderWatcher
from rag_indexer.domain.watching import Watching
from sage_contracts.errors import StoreUnavailable
from tests.rag_indexer.clients import Client, clients
from tests.rag_indexer.parts import written

pytestmark = pytest.mark.slow

FILES = {"zebra.md": "# Zebra\nA zebra is striped.\n", "deep/giraffe.md": "# Giraffe\nA giraffe is tall.\n"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[Client]:
    written(tmp_path / "docs", FILES)
    async with clients(tmp_path) as found:
        yield found


async def test_the_events_of_a_build_lead_from_its_progress_to_its_index(client: Client) -> None:
    building = await client.held()
    *progress, last = await client.events(heard=client.desk.encoder.release)
    _, built = await building

    assert progress[0].event == "progress"
    assert progress[0].job is not None
    assert (progress[0].job.stage, progress[0].job.total) == ("chunking", 2)
    assert (last.event, last.message) == ("done", "2 files, 2 passages")
    assert last.index is not None
    assert last.index.num_chunks == built["index"]["num_chunks"]


async def test_events_of_a_build_that_has_ended_are_how_it_ended(client: Client) -> None:
    await client.build()

    assert [one.event for one in await client.events()] == ["done"]


async def test_where_nothing_was_built_the_events_say_so(client: Client) -> None:
    assert [one.event for one in await client.events()] == ["idle"]
    assert [one.event for one in await client.events("other")] == ["idle"]


async def test_the_last_event_of_a_build_that_fails_says_why(client: Client) -> None:
    client.desk.encoder.fails_with = StoreUnavailable("the disk is full")
    await client.build(wait=False)
    last = (await client.events())[-1]

    assert (last.event, last.message) == ("failed", "the disk is full")


async def test_many_may_listen_and_leave(client: Client) -> None:
    building = await client.held()
    listening = [asyncio.create_task(client.events()) for _ in range(5)]
    await asyncio.sleep(0.05)
    listening[0].cancel()
    client.desk.encoder.release()
    ends = [(await one)[-1].event for one in listening[1:]]
    await building

    assert ends == ["done"] * 4


async def test_a_build_that_is_cancelled_leaves_the_index_that_was_there(client: Client, tmp_path: Path) -> None:
    await client.build()
    building = await client.held(force_rebuild=True)
    (job,) = client.desk.builds._jobs._running.values()
    cancelling = asyncio.create_task(client.ask("POST", "/admin/index/cancel"))
    while not job.progress.cancelled:
        await asyncio.sleep(0.005)
    client.desk.encoder.release()
    status, cancelled = await cancelling
    refused, told = await building
    after = await client.status()

    assert (status, cancelled["status"]) == (200, "cancelled")
    assert (refused, told["error"]["message"]) == (409, "the build was broken off")
    assert (after["status"], after["index"]["num_chunks"]) == ("ready", 2)
    assert [one.event for one in await client.events()] == ["cancelled"]
    assert sorted(path.name for path in (tmp_path / "data").glob("docs@*")) == ["docs@1", "docs@versions"]


async def test_a_build_that_is_cancelled_while_its_draft_is_begun_leaves_nothing(
    client: Client, tmp_path: Path
) -> None:
    await client.build()
    reached = asyncio.Event()
    client.desk.encoder.meanwhile = reached.set
    building = asyncio.create_task(client.build(force_rebuild=True))
    await reached.wait()
    async with asyncio.timeout(30):
        while not (tmp_path / "data" / "docs@2").exists():
            await asyncio.sleep(0)
    await client.desk.builds.cancel(None)
    status, _ = await building
    left = sorted(path.name for path in (tmp_path / "data").glob("docs@*"))
    _, built = await client.build()

    assert (status, left, built["status"]) == (409, ["docs@1", "docs@versions"], "already_exists")


async def test_where_no_build_runs_there_is_nothing_to_cancel(client: Client) -> None:
    assert (await client.ask("POST", "/admin/index/cancel"))[1]["status"] == "not_running"


async def test_a_folder_that_is_watched_is_followed(client: Client) -> None:
    status, _ = await client.build(watch=True)
    watching = (await client.status())["watching"]
    written(client.desk.docs, {"lion.md": "A lion roars.\n"})
    client.desk.watcher.change()
    async with asyncio.timeout(30):
        while await client.paths("roars") == []:
            await asyncio.sleep(0.01)

    assert (status, watching) == (200, True)
    assert client.desk.watcher.watched == [str(client.desk.docs)]


async def test_a_change_during_a_build_is_not_missed(client: Client) -> None:
    await client.build(watch=True)
    await client.desk.looked_at()
    building = await client.held(force_rebuild=True)
    written(client.desk.docs, {"lion.md": "A lion roars.\n"})
    client.desk.watcher.change()
    await asyncio.sleep(0.05)
    client.desk.encoder.release()
    await building
    async with asyncio.timeout(30):
        while await client.paths("roars") == []:
            await asyncio.sleep(0.01)


async def test_a_folder_is_left_alone_again(client: Client) -> None:
    await client.build(watch=True)
    stopped = await client.ask("DELETE", "/admin/index/watch")
    again = await client.ask("DELETE", "/admin/index/watch?collection=docs")

    assert (stopped, again) == ((200, {"status": "stopped"}), (200, {"status": "not_watching"}))
    assert "watching" not in await client.status()


@pytest.mark.parametrize("route", ["/admin/index", "/v1/vector_stores/vs_docs"])
async def test_what_is_deleted_is_not_watched_any_more(client: Client, route: str) -> None:
    await client.build(watch=True)
    await client.desk.looked_at()
    status, _ = await client.ask("DELETE", route)
    following = client.desk.watcher.following

    assert (status, following, await client.status()) == (200, 0, {"status": "not_found"})


async def test_a_change_while_the_index_is_deleted_does_not_bring_it_back(client: Client) -> None:
    await client.build()
    deleting = asyncio.create_task(client.desk.builds.delete())
    await asyncio.sleep(0)
    client.desk.renewals.touch("docs")
    await deleting
    await asyncio.sleep(0.2)

    assert await client.settled() == {"status": "not_found"}


async def test_what_is_built_again_after_it_was_deleted_is_among_all_that_are_watched(client: Client) -> None:
    await client.build()
    await client.desk.watching.begin_all()
    await client.desk.looked_at()
    status, _ = await client.ask("DELETE", "/admin/index")
    await client.build()
    await client.desk.watching.begin_all()

    assert (status, (await client.settled())["watching"]) == (200, True)


async def test_another_folder_is_watched_instead_of_the_first(client: Client) -> None:
    await client.build(watch=True)
    await client.desk.looked_at()
    await client.build(watch=True, source_dir="deep")
    await client.settled()

    assert client.desk.watcher.watched == [str(client.desk.docs), str(client.desk.docs / "deep")]


async def test_a_folder_is_watched_on_while_a_build_of_another_one_comes_to_nothing(client: Client) -> None:
    await client.build(watch=True)
    await client.desk.looked_at()
    building = await client.held(source_dir="deep", force_rebuild=True)
    client.desk.watcher.change()
    await asyncio.sleep(0.05)
    cancelling = asyncio.create_task(client.desk.builds.cancel(None))
    await asyncio.sleep(0)
    client.desk.encoder.release()
    await asyncio.wait([building, cancelling])

    assert client.desk.watcher.following == 1


async def test_another_folder_that_is_asked_for_twice_at_once_is_watched_once(client: Client) -> None:
    watching = client.desk.watching
    await client.build(watch=True)
    await client.desk.looked_at()
    await client.build(source_dir="deep")
    await asyncio.gather(watching.begin(None), watching.begin_all())
    await asyncio.sleep(0.05)

    assert client.desk.watcher.following == 1


async def test_what_is_made_of_uploads_alone_cannot_be_watched(tmp_path: Path) -> None:
    async with clients(tmp_path, default=False) as client:
        await client.ask("POST", "/admin/index/documents", {"documents": [{"name": "a.md", "text": "A zebra."}]})
        status, refused = await client.build(watch=True)

    assert (status, refused["error"]["param"]) == (400, "watch")


async def test_the_kernel_tells_of_changes(tmp_path: Path) -> None:
    seen: asyncio.Queue[None] = asyncio.Queue()

    async def watching() -> None:
        async for _ in FolderWatcher().changes(str(tmp_path)):
            seen.put_nowait(None)

    task = asyncio.create_task(watching())
    async with asyncio.timeout(60):
        while seen.empty():  # the watch may begin a moment later
            written(tmp_path, {"deep/a.md": "x"})
            await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.slow
async def test_a_folder_that_goes_away_is_followed_again_when_it_is_back(tmp_path: Path) -> None:
    folder, other = (written(tmp_path / name, {"a.md": "x"}) for name in ("docs", "other"))
    changes = FolderWatcher(look_seconds=0.05).changes(str(folder))
    following = asyncio.ensure_future(anext(changes))
    async with asyncio.timeout(60):
        await asyncio.sleep(0.2)
        folder.rename(tmp_path / "elsewhere")
        await asyncio.sleep(0.2)
        gone = following.done()
        (tmp_path / "elsewhere").rename(folder)
        await following
        folder.rename(tmp_path / "elsewhere")
        other.rename(folder)
        await anext(changes)
        following = asyncio.ensure_future(anext(changes))
        while not following.done():
            written(folder, {"b.md": "x"})
            await asyncio.sleep(0.05)

    assert not gone


async def test_a_folder_that_does_not_exist_is_followed_once_it_does(tmp_path: Path) -> None:
    changes = FolderWatcher(look_seconds=0.05).changes(str(tmp_path / "docs"))
    following = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(1)  # it has looked, and found none
    (tmp_path / "docs").mkdir()
    async with asyncio.timeout(60):
        await following


async def test_all_folders_are_those_of_collections_built_later_too(client: Client) -> None:
    await client.build()
    await client.desk.watching.begin_all()
    await client.build(collection="tall", source_dir="deep")
    await client.desk.watching.begin_all()

    assert [(await client.status(name))["watching"] for name in ("docs", "tall")] == [True, True]


async def test_a_folder_that_was_let_be_is_not_among_all_until_it_is_asked_for(client: Client) -> None:
    await client.build()
    await client.desk.watching.begin_all()
    await client.desk.looked_at()
    await client.ask("DELETE", "/admin/index/watch")
    await client.desk.watching.begin_all()
    let_be = await client.settled()
    await client.build(watch=True)

    assert ("watching" in let_be, (await client.settled())["watching"]) == (False, True)


class NoWatches:
    """A kernel that watches nothing more."""

    def __init__(self) -> None:
        self.asked = 0

    async def changes(self, path: str) -> AsyncGenerator[None]:
        self.asked += 1
        return
        yield


class Broken(NoWatches):
    async def changes(self, path: str) -> AsyncGenerator[None]:
        self.asked += 1
        raise RuntimeError("a defect")
        yield


async def test_a_defect_in_watching_is_logged_and_the_folder_left_alone_for_a_while(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await client.build()
    watcher = Broken()
    watching = Watching(client.desk.collections, client.desk.builds, client.desk.renewals, watcher)
    await watching.begin_all()
    while watching.told(None, await client.desk.builds.status()).watching:
        await asyncio.sleep(0)
    await watching.begin_all()

    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["a defect"]
    assert watcher.asked == 1


@pytest.mark.parametrize(("pause", "asked"), [(300.0, 1), (0.0, 3)])
async def test_what_cannot_be_watched_is_left_alone_for_a_while(client: Client, pause: float, asked: int) -> None:
    """Each time its folder is read."""
    await client.build()
    watcher = NoWatches()
    watching = Watching(client.desk.collections, client.desk.builds, client.desk.renewals, watcher, pause=pause)

    async def ended() -> None:
        while watching.told(None, await client.desk.builds.status()).watching:
            await asyncio.sleep(0)

    for _ in range(3):
        await watching.begin_all()
        await ended()
    by_itself = watcher.asked
    await watching.begin(None)
    await ended()

    assert (by_itself, watcher.asked) == (asked, asked + 1)
