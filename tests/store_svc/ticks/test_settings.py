"""Which Redis, who we are to it, and what it must not do."""

import datetime as dt
import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.asyncio import Redis

from arbig.config import Store
from arbig.errors import ConfigError
from store_svc.ticks.wiring import open_redis
from tests.servers import REDIS, Server, free_port
from tests.store_svc.ticks.kept import SYMBOLS, assert_whole, ticking

# What storage does in Redis, and no more.
RULES = "~ticks:* ~days:* ~symbols:ticks ~cursor:ticks ~gaps:ticks +eval +@read +@write +@connection +@transaction"


def secret(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    return path


async def test_an_acl_user_with_few_rights_stores_and_replays(own_redis: Server, tmp_path: Path) -> None:
    """It may not even read the configuration of Redis."""
    async with Redis.from_url(own_redis.url) as redis:
        raw: Any = redis
        await raw.execute_command("ACL", "SETUSER", "arbig", "on", ">hush", *RULES.split(), "-@dangerous")
        await raw.execute_command("ACL", "SETUSER", "default", "resetpass", ">other")
    file = secret(tmp_path / "password", "hush")
    store = {"redis_user": "arbig", "redis_password_file": file}
    async with ticking(tmp_path, own_redis.url, **store) as made, made.quoting(), made.storing():
        made.market.publish(*SYMBOLS)
        await made.until_ticks_stored()
        await assert_whole(made)


async def test_the_default_user_may_have_a_password(own_redis: Server, tmp_path: Path) -> None:
    async with Redis.from_url(own_redis.url) as redis:
        await redis.config_set("requirepass", "hush")
    file = secret(tmp_path / "password", "hush")
    async with ticking(tmp_path, own_redis.url, redis_password_file=file) as made, made.quoting(), made.storing():
        made.market.publish(*SYMBOLS)
        await made.until_ticks_stored()


async def test_a_wrong_password_is_waited_for_visibly(own_redis: Server, tmp_path: Path) -> None:
    """Without telling it; the person in charge mends it in Redis."""
    async with Redis.from_url(own_redis.url) as redis:
        await redis.config_set("requirepass", "hush")
        file = secret(tmp_path / "password", "typo-of-it")
        async with ticking(tmp_path, own_redis.url, redis_password_file=file) as made, made.quoting(), made.storing():
            made.market.publish(*SYMBOLS)
            status = await made.until(lambda status: "password" in status.ticks_reason)
            assert "typo-of-it" not in status.ticks_reason
            raw: Any = redis
            await raw.execute_command("AUTH", "hush")
            await redis.config_set("requirepass", "typo-of-it")
            await made.until_ticks_stored()


async def test_a_redis_that_may_throw_ticks_away_is_warned_of(own_redis: Server, tmp_path: Path) -> None:
    """Ticks are stored meanwhile."""
    async with Redis.from_url(own_redis.url) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
    async with ticking(tmp_path, own_redis.url) as made, made.quoting(), made.storing():
        made.market.publish(*SYMBOLS)
        status = await made.until(lambda status: status.ticks == made.market.feed.cursor)
        assert "allkeys-lru" in status.ticks_reason


def test_settings_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    file = secret(tmp_path / "password", "hush")
    with pytest.raises(ConfigError, match="redis_password_file"):
        open_redis(Store(redis_password_file=file), "redis://:hush@localhost")
    with pytest.raises(ConfigError, match="redis_user"):
        open_redis(Store(redis_user="arbig"), "redis://other@localhost")
    with pytest.raises(ConfigError, match=r"store\.redis"):
        open_redis(Store(), "http://localhost")


@pytest.fixture
def tls_redis(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """Run a Redis that speaks TLS only, and give its certificate."""
    assert REDIS
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis of the test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - dt.timedelta(1), now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "redis.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    secrets = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (tmp_path / "redis.key").write_bytes(secrets)
    port = free_port()
    tls = ["--tls-cert-file", str(pem), "--tls-key-file", str(tmp_path / "redis.key"), "--tls-auth-clients", "no"]
    command = [REDIS, "--port", "0", "--tls-port", str(port), "--save", "", *tls, "--tls-ca-cert-file", str(pem)]
    ping = ["redis-cli", "-p", str(port), "--tls", "--cacert", str(pem), "ping"]
    answers = lambda: subprocess.run(ping, capture_output=True, check=False).stdout == b"PONG\n"  # noqa: E731
    server = Server(command, tmp_path / "tls.log", answers, f"rediss://127.0.0.1:{port}/0")
    yield server, pem
    server.kill()


async def test_a_rediss_url_checks_the_certificate(tls_redis: tuple[Server, Path], tmp_path: Path) -> None:
    """An authority of one's own is named in the URL; without it the server is not believed."""
    server, pem = tls_redis
    url = f"{server.url}?ssl_ca_certs={pem}"
    async with ticking(tmp_path / "believed", url) as made, made.quoting(), made.storing():
        made.market.publish(*SYMBOLS)
        await made.until_ticks_stored()
    async with ticking(tmp_path / "not", server.url) as made, made.quoting(), made.storing():
        await made.until(lambda status: "certificate" in status.ticks_reason.lower())
