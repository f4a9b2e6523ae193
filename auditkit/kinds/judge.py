"""Judges values that are not kept: do they hold a credential, and which flags does a component run with."""

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise, takewhile

WITHHELD = "(withheld)"
DIGEST = re.compile(r"[a-z0-9+._-]{1,32}:[0-9a-fA-F]{32}")

COMPONENTS = frozenset({"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"})
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_WRAPPERS = _SHELLS | {"go-runner", "hyperkube", "watch-termination", "tini", "dumb-init"}

# Credentials that cannot be taken for anything else; no file of a pack may hold one.
UNMISTAKABLE = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "an AWS access key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    "a Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a password in a URL": r"\b[a-z][a-z0-9+.-]{1,15}://[^\s/:@\"'<>]{1,64}:[^\s/@\"'<>]{3,64}@[\w.-]+",
}
_UNMISTAKABLE = re.compile("|".join(UNMISTAKABLE.values()), re.ASCII)

# Every repetition is bounded: the text is a cluster's own and must not make the search slow.
# A credential, whatever its name: private key, JWT, cloud and vendor keys, a password in a URL or DSN.
_CREDENTIAL = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|(?<![\w-])eyJ[\w-]{8,2000}\.eyJ[\w-]{8,8000}\.[\w-]"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk_live_|rk_live_|hvs\.|npm_|AIza|SG\.)[\w.-]{16}"
    r"|hooks\.slack\.com/services/\w"
    r"|\b(?:Bearer|Basic)\s+[\w.~+/=-]{8}"
    r"|[A-Za-z]://[^\s/:@]{0,200}:[^\s/@]{1,400}@"
    r"|[\w.-]:[^\s@/:]{1,200}@(?:tcp|unix)\("
)
_REFERENCE = re.compile(r"\$\([\w.-]+\)|\$\{\w+\}|\$[A-Z_][A-Z0-9_]*\b|\{\{[^{}]{0,200}\}\}")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ASSIGNMENT = re.compile(r"""(?<![\w.])([A-Za-z_][\w.-]{0,99})["']?[ \t]{0,9}[:=]\s{0,9}["']?([^\s"',;}&]{1,200})""")
_HARMLESS = re.compile(
    r"true|false|yes|no|on|off|enabled|disabled|none|null|nil"
    r"|[+-]?[0-9]+(\.[0-9]+)?\s*(ns|us|ms|s|m|h|d|[kKMGT]i?B?)?"
    r"|(~|\.{1,2}|[A-Za-z]:)?([/\\][\w.@-]+){2,}[/\\]?|(~|\.{1,2})?/[\w.@-]{1,20}/?",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"[0-9]{4,200}", re.ASCII)
_SECRET = frozenset({"PASSWORD", "PASSWD", "PASS", "PWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "CREDENTIALS"})
_SECRET_ENDING = ("PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "SECRETKEY", "ACCESSKEY", "PRIVATEKEY")
# fmt: off
_KEY_OF = frozenset({
    "API", "ACCESS", "SECRET", "PRIVATE", "ENCRYPTION", "SIGNING", "MASTER", "AUTH", "ACCOUNT", "SESSION", "SHARED",
    "HMAC", "JWT",
})
# fmt: on
# Words after the secret one that say what about it the value is.
_ABOUT = frozenset(
    """
    AGE ALGORITHM AUDIENCE BUDGET CLASS COUNT DIR DIRECTORY DURATION ENABLED ENDPOINT EXPIRATION EXPIRES EXPIRY
    FIELD FILE FORMAT HEADER HOST ID INTERVAL ISSUER LEN LENGTH LIFETIME LIMIT LOCATION LOOKUP MAX MIN MODE NAME
    NAMES NAMESPACE PATH POLICY PREFIX PROVIDER REF REGION REQUIRED ROTATION SERVER SERVICE SIZE STDIN STORE
    TIMEOUT TTL TYPE URI URL USER USERNAME VERSION
    """.split()  # noqa: SIM905
)


# Labels of many objects have the same values.
@lru_cache(maxsize=65536)
def is_credential(value: str) -> bool:
    """Whether a text holds one of UNMISTAKABLE."""
    return bool(_UNMISTAKABLE.search(value))


@lru_cache(maxsize=65536)
def _secret_name(name: str) -> bool:
    """Whether a name says that its value is a credential, by whole words: API_KEY, PGPASSWORD; not TOKEN_TTL."""
    words = [word.upper() for word in _WORD.findall(name)]
    for i, word in enumerate(words):
        key = word == "KEY" and i > 0 and words[i - 1] in _KEY_OF
        if (key or word in _SECRET or word.endswith(_SECRET_ENDING)) and _ABOUT.isdisjoint(words[i + 1 :]):
            return True
    return False


def _literal(value: str) -> bool:
    """Whether a value can be a credential: not empty, a boolean, a number, a duration, a path, or only references."""
    value = _REFERENCE.sub("", value).strip().strip("\"'")
    return any(map(str.isalnum, value)) and not _HARMLESS.fullmatch(value)


def _numeric_password(name: str, value: str) -> bool:
    return name.upper().endswith(("PASSWORD", "PASSWD", "PASSPHRASE")) and bool(_DIGITS.fullmatch(value))


def looks_secret(name: str, value: str) -> bool:
    """Whether the value of a variable, flag or ConfigMap key looks like a literal credential.

    By its name (whole words), by its own form, or by a named part of it (`password=...` in a
    connection string). References such as $(NAME), booleans, paths and numbers are none, but for a number of four
    digits or more that is named as a password.
    """
    if _secret_name(name) and (_literal(value) or _numeric_password(name, value)):
        return True
    bare = _REFERENCE.sub("", value)
    if len(bare) < 5:
        return False
    return bool(_CREDENTIAL.search(bare)) or any(
        _secret_name(part) and _literal(text) for part, text in _ASSIGNMENT.findall(bare)
    )


def argv_has_secret(argv: Sequence[str]) -> bool:
    """Whether a command line holds a literal credential: `--password=x`, `--password x`, `PASSWORD=x`, or by form."""
    words = [word for item in argv for word in item.split()]
    pairs = [(flag, value) for flag, value in pairwise(words) if flag.startswith("-") and "=" not in flag]
    return (
        any(looks_secret("", item) for item in argv)
        or any(not value.startswith("-") and looks_secret(flag, value) for flag, value in pairs)
        or any(_numeric_password(flag, value) for flag, _, value in (word.partition("=") for word in words))
    )


def argv_has_sudo(argv: Sequence[str]) -> bool:
    """Whether a command line runs sudo, also inside a shell's text."""
    return any(_basename(word) == "sudo" for item in argv for word in re.split(r"[\s;|&()]+", item))


def component_flags(argv: Sequence[str]) -> tuple[str | None, dict[str, list[str]] | None]:
    """The control-plane component that a command line runs and its flags, or (None, None).

    Both spellings (`--f=v`, `--f v`), repeats in order, quotes stripped, a bare flag is "true",
    `_` in a name is `-` (component-base WordSepNormalizeFunc); a value that looks like a credential is withheld.
    """
    words = [word.strip("\"'") if i else word for i, word in enumerate(argv)]
    if _basename(words[0]) in _WRAPPERS:
        words = [word for item in words for word in _split(item)]
        words = words[next((i for i, word in enumerate(words) if _basename(word) in COMPONENTS), 0) :]
    component = _basename(words[0])
    if component not in COMPONENTS:
        return None, None
    flags: dict[str, list[str]] = {}
    for name, value in _flags(words[1:]):
        flags.setdefault(name, []).append(WITHHELD if looks_secret(name, value) else value)
    return component, flags


def retention_flags(argv: Sequence[str]) -> dict[str, str] | None:
    """The flags of any program that say how long it keeps data, as Prometheus' --storage.tsdb.retention.time."""
    if not any("retention" in word.lower() for word in argv):
        return None
    words = [part for word in argv for part in word.split()]
    return {n: WITHHELD if looks_secret(n, v) else v for n, v in _flags(words) if "retention" in n.lower()} or None


def _flags(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    words = list(takewhile(lambda word: word != "--", words))
    i = 0
    while i < len(words):
        name, equals, value = words[i].partition("=")
        i += 1
        if not re.match(r"--?[A-Za-z]", name):
            continue
        if not equals:
            value = "true"
            if i < len(words) and not re.match(r"-[-A-Za-z]", words[i]):
                value = words[i]
                i += 1
        yield name.lstrip("-").replace("_", "-"), value.strip("\"'")


def _split(text: str) -> list[str]:
    """The words of a shell's text up to the end of the command that runs a component."""
    if not re.search(r"\s", text):
        return [text]
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        words = text.split()
    start = next((i for i, word in enumerate(words) if _basename(word) in COMPONENTS), len(words))
    return words[:start] + list(takewhile(lambda word: not re.fullmatch(r"[|&;<>()]+", word), words[start:]))


def _basename(path: str) -> str:
    return path.rpartition("/")[2]


def without_userinfo(image: str | None) -> str | None:
    """An image reference without the credentials that somebody wrote before its registry; a digest is none."""
    before, at, after = (image or "").partition("@")
    return f"{WITHHELD}@{after}" if at and ":" in before and not DIGEST.match(after) else image
