"""`sage chat ingest`: index a folder, so that answers cite it."""

from pathlib import Path
from typing import Annotated

import typer

from sage_cli.api import API, APIBase, ask
from sage_cli.builds import followed
from sage_cli.failures import Failed
from sage_cli.output import AsJSON, duration, err, one_line, out, print_json
from sage_cli.uploading import uploaded
from sage_contracts import index as wire
from sage_contracts.errors import SourceRefused
from sage_contracts.index import Built, IndexStatus, Plan
from sage_contracts.uploads import Uploaded

SHOWN = 20
"""Paths of a kind, before the rest is a number."""

DRY_RUN_SECONDS = 600.0

Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Read with all that is in it.")]
Collection = Annotated[str | None, typer.Option("--collection", "-c", help="Which collection; else `docs`.")]
Watch = Annotated[
    bool | None,
    typer.Option("--watch/--no-watch", help="Keep the index up to date with the folder from now on, or no longer."),
]


def ingest(
    folder: Folder,
    collection: Collection = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    watch: Watch = None,
    force: Annotated[bool, typer.Option("--force", help="Begin again, also where nothing has changed.")] = False,
    upload: Annotated[
        bool, typer.Option("--upload", help="Send the files, to a gateway that cannot read the folder.")
    ] = False,
    as_json: AsJSON = False,
    api_base: APIBase = None,
) -> None:
    """
    Index a folder, so that `sage-default` answers from it with citations.

    Ctrl-C gives the build up; the index that was there stays.
    """
    if upload:
        if dry_run or force or watch is not None:
            raise typer.BadParameter("--upload goes with none of --dry-run, --watch and --force")
        _tell_uploaded(ask(api_base, lambda api: uploaded(api, folder, collection)), as_json=as_json)
        return
    request = wire.BuildRequest(
        source_dir=str(folder.resolve()),
        force_rebuild=force,
        wait=False,
        collection=collection,
        dry_run=dry_run,
        watch=bool(watch),
    )
    told = ask(api_base, lambda api: _built(api, request, unwatch=watch is False))
    if as_json:
        print_json(told)
    elif isinstance(told, Built):
        _tell_plan(told)
    else:
        _tell_index(told)


async def _built(api: API, request: wire.BuildRequest, *, unwatch: bool) -> Built | IndexStatus:
    """The plan of a dry run, or the collection as it is after the build."""
    asked = wire.CollectionQuery(collection=request.collection)
    if unwatch:
        await api.client.call(wire.UNWATCH, asked)
    try:
        built = await api.client.call(wire.BUILD, request, timeout=DRY_RUN_SECONDS if request.dry_run else None)
    except SourceRefused as error:
        raise Failed(f"{error.message}; with --upload the files are sent instead") from error
    if request.dry_run:
        return built
    return await followed(api, request.collection)


def _tell_index(found: IndexStatus) -> None:
    if (index := found.index) is None:
        return
    where = one_line(index.source_dir)
    out.print(f"{index.num_documents} documents, {index.num_chunks} passages: {where}", markup=False)
    _tell_skipped(index.skipped)
    if found.watching:
        err.print("watched from now on; `sage chat ingest` with --no-watch ends that", markup=False)


def _tell_plan(built: Built) -> None:
    plan = built.plan
    if plan is None:
        out.print(one_line(built.message), markup=False)
        return
    out.print(_summary(plan), markup=False)
    _tell_paths("+", plan.add)
    _tell_paths("~", plan.change)
    _tell_paths(">", [f"{move.before} -> {move.now}" for move in plan.move])
    _tell_paths("-", plan.delete)
    _tell_skipped(plan.skipped)


def _summary(plan: Plan) -> str:
    seconds = "" if plan.seconds is None else f", {duration(plan.seconds)}"
    return (
        f"would read {plan.files} files, {plan.bytes / 1e6:.1f} MB: about {plan.chunks} passages{seconds}; "
        f"{len(plan.move)} moved, {len(plan.delete)} gone, {plan.unchanged} unchanged"
    )


def _tell_paths(mark: str, paths: list[str]) -> None:
    for path in paths[:SHOWN]:
        out.print(f"{mark} {one_line(path)}", markup=False)
    if len(paths) > SHOWN:
        out.print(f"{mark} and {len(paths) - SHOWN} more", markup=False)


def _tell_uploaded(told: Uploaded, *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    out.print(f"{len(told.documents)} documents uploaded", markup=False)
    _tell_skipped(told.skipped)


def _tell_skipped(skipped: list[str]) -> None:
    for one in skipped:
        out.print(f"skipped {one_line(one)}", markup=False)
