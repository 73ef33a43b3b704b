"""`arbig db` as its users run it: a process with settings from its environment."""

import asyncio
import os
import sys
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import make_url

from arbig.config import Settings
from tests.mesh.harness import environment, processes


class Said(NamedTuple):
    """How the tool ended."""

    status: int
    out: str
    errors: str


def surroundings(settings: Settings) -> dict[str, str]:
    """Give the environment that names a mesh's settings, the password in a file of its own."""
    given = {"ARBIG_DATA": str(settings.data), "ARBIG_PORT_BASE": str(settings.port_base)}
    if text := settings.store.database:
        url = make_url(text)
        given["ARBIG_STORE__DATABASE"] = url._replace(password=None).render_as_string()
        if url.password:
            file = settings.data / "password"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{url.password}\n")
            given["ARBIG_STORE__PASSWORD_FILE"] = str(file)
    return given


async def started(settings: Settings, *arguments: str | Path) -> asyncio.subprocess.Process:
    """Start `arbig db` on the database of the settings."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "arbig.cli", "db", *map(str, arguments)),
        env={**os.environ, **surroundings(settings)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def tool(settings: Settings, *arguments: str | Path) -> Said:
    """Run it to its end."""
    process = await started(settings, *arguments)
    out, errors = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), errors.decode())


async def command_lines(settings: Settings, seen: set[str]) -> None:
    """Collect the command lines of all processes of this mesh, until cancelled."""
    while True:
        for pid, command in processes():
            if environment(pid).get("ARBIG_DATA") == str(settings.data):
                seen.add(" ".join(command))
        await asyncio.sleep(0.02)
