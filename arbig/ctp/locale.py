"""The locale zh_CN.GB18030, without which importing the vendor's library aborts the process.

The abort cannot be caught, so the locale is made sure of first. Where the system has none, one is
built from Python's own GB18030 codec with `localedef` (part of libc-bin), without root.
"""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

from arbig.errors import ConfigError

NAME = "zh_CN.GB18030"
ADVICE = f"run `apt-get install locales && localedef -i zh_CN -f GB18030 {NAME}` as root"
# glibc: every category but LC_ALL (6) itself.
_ALL_CATEGORIES = 0x1FFF & ~(1 << 6)


def available() -> bool:
    """Tell whether this process can use the locale now."""
    libc = ctypes.CDLL(None)
    libc.newlocale.restype = ctypes.c_void_p
    libc.newlocale.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
    made = libc.newlocale(_ALL_CATEGORIES, NAME.encode(), None)
    if made:
        libc.freelocale.argtypes = [ctypes.c_void_p]
        libc.freelocale(made)
    return bool(made)


def ensure(cache: Path) -> None:
    """Make the locale usable in this process, building it in `cache` where the system has none.

    Raises ConfigError that says what to install where that fails.
    """
    if available():
        return
    if not (cache / NAME / "LC_CTYPE").exists():
        _build(cache)
    theirs = os.environ.get("LOCPATH")
    os.environ["LOCPATH"] = f"{cache}:{theirs}" if theirs else str(cache)
    if not available():
        raise ConfigError(f"the locale {NAME}, which the CTP library needs, is missing: {ADVICE}")


def _build(cache: Path) -> None:
    localedef = shutil.which("localedef") or shutil.which("localedef", path="/usr/bin:/usr/sbin:/bin")
    if localedef is None:
        raise ConfigError(f"the locale {NAME} is missing, and so is localedef to build it: {ADVICE}")
    # Two services may build it at once: each in a place of its own, then moved as a whole.
    work = cache / f"building-{os.getpid()}"
    work.mkdir(parents=True, exist_ok=True)
    (work / "GB18030").write_text(_charmap())
    (work / "zh_CN").write_text(_DEFINITION)
    made = work / NAME
    # Its exit status 1 means warnings only; what counts is the file.
    done = subprocess.run(  # noqa: S603
        [localedef, "-c", "--no-archive", "-i", work / "zh_CN", "-f", work / "GB18030", made],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "I18NPATH": str(work)},
    )
    if not (made / "LC_CTYPE").exists():
        raise ConfigError(f"localedef could not build {NAME}: {done.stderr.strip()[:300]}; {ADVICE}")
    try:
        made.rename(cache / NAME)
    except OSError:
        if not (cache / NAME / "LC_CTYPE").exists():  # else another service was faster
            raise
    shutil.rmtree(work)


def _charmap() -> str:
    lines = [
        "<code_set_name> GB18030",
        "<comment_char> %",
        "<escape_char> /",
        "<mb_cur_min> 1",
        "<mb_cur_max> 4",
        "CHARMAP",
    ]
    for point in range(0x10000):
        if 0xD800 <= point <= 0xDFFF:
            continue
        encoded = chr(point).encode("gb18030")
        if len(encoded) <= 2:  # the four-byte forms are not needed, and make the file large
            lines.append(f"<U{point:04X}> {''.join(f'/x{byte:02x}' for byte in encoded)} x")
    return "\n".join([*lines, "END CHARMAP", ""])


_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LOWER = ";".join(f"<U{ord(letter):04X}>" for letter in _LETTERS)
_UPPER = ";".join(f"<U{ord(letter.upper()):04X}>" for letter in _LETTERS)
_DIGITS = ";".join(f"<U{ord(digit):04X}>" for digit in "0123456789")
_DEFINITION = f"""comment_char %
escape_char /
LC_CTYPE
upper {_UPPER}
lower {_LOWER}
alpha {_UPPER};{_LOWER}
digit {_DIGITS}
space <U0020>;<U0009>;<U000A>;<U000B>;<U000C>;<U000D>
END LC_CTYPE
LC_COLLATE
order_start forward
UNDEFINED
order_end
END LC_COLLATE
"""
