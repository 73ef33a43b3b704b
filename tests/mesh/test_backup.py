"""A backup of a trading mesh, put into the other engine: the mesh goes on from it."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from arbig.config import Settings, Store
from tests.mesh.harness import Mesh, clients, running, until
from tests.mesh.test_kill9 import all_agree, trade_for_ever
from tests.servers import database_options, start_mariadb
from tests.store_svc.tool.process import Said, tool


async def back_up_while_trading(mesh: Mesh, settings: Settings, file: Path) -> Said:
    """Make a backup in the middle of trading; end with all books agreeing."""
    sent: dict[str, int] = {}
    async with clients(mesh) as services:
        trading = asyncio.create_task(trade_for_ever(services, sent))

        async def more(than: int) -> bool:
            return len(sent) > than

        await until("orders before the backup", lambda: more(20))
        said = await tool(settings, "backup", "--prove", "--file", file)
        begun = len(sent)
        await until("orders after the backup", lambda: more(begun + 20))
        trading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await trading
        await all_agree(services)
    return said


@pytest.mark.long
def test_a_mesh_goes_on_from_its_backup_in_the_other_engine(tmp_path: Path) -> None:
    file = tmp_path / "b.zip"

    async def agree(mesh: Mesh) -> None:
        async with clients(mesh) as services:
            await all_agree(services)

    with start_mariadb(tmp_path) as database:
        with running(tmp_path / "mesh", "--redis", "none", "--no-edge") as mesh:
            before = Settings(data=mesh.data, port_base=mesh.base)
            said = asyncio.run(back_up_while_trading(mesh, before, file))
            assert said.status == 0, said.errors
        after = before.model_copy(update={"store": Store(database=database.url)})
        for command in ("restore", "verify"):
            said = asyncio.run(tool(after, command, "--file", file))
            assert said.status == 0, said.errors
        options = [*database_options(database, tmp_path), "--redis", "none", "--no-edge"]
        with running(tmp_path / "mesh", *options) as mesh:
            asyncio.run(agree(mesh))
