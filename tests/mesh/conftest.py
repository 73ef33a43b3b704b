"""One mesh on generated prices for the tests that leave it as they found it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.mesh.harness import Clients, Mesh, clients, running


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Run the mesh as `arbig up` does."""
    with running(tmp_path_factory.mktemp("mesh")) as started:
        yield started


@pytest.fixture
async def services(mesh: Mesh) -> AsyncIterator[Clients]:
    """Open the clients of that mesh."""
    async with clients(mesh) as opened:
        yield opened
