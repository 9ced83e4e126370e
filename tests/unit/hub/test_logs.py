from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import logs


def test_what_matters_is_sorted_out_once() -> None:
    found = logs.sort_out(
        [
            "[C 2026-11-20 21:37:25.423 JupyterHub app:4035] Received signal SIGTERM, initiating shutdown...",
            "[C 2026-11-20 21:37:25.423 JupyterHub app:4033] Initiating shutdown...",
            "[I 2026-11-20 21:37:29.136 JupyterHub app:3204] Hub API listening on http://127.0.0.1:41025/",
            "\x1b[35m[W 2026-11-20 21:37:28.858 JupyterHub configurable:214]\x1b[m "
            "Config option `statsd_host` not recognized by `JupyterHub`.",
            "[W 2026-11-20 21:37:28.900 JupyterHub auth:371] "
            "No allow config found, it's possible that nobody can login to your Hub!",
            "/opt/hub/lib/thing.py:7: DeprecationWarning: datetime.utcnow() is going",
            "[W 2026-11-20 21:37:28.901 JupyterHub app:69] "
            "JupyterHub.extra_handlers is deprecated in JupyterHub 3.1.",
            "[E 2026-11-20 21:37:29.000 JupyterHub app:3400] Failed to start proxy",
            "    Traceback (most recent call last):",
            '      File "/opt/hub/lib/proxy.py", line 1, in start',
            "    OSError: Address already in use",
            "Traceback (most recent call last):",
            '  File "/opt/hub/lib/app.py", line 1, in launch',
            "    await proxy.start()",
            "RuntimeError: Proxy failed to start with exit code 1",
            "[E 2026-11-20 21:37:30.000 JupyterHub app:3400] Failed to start proxy",
        ]
    )
    assert found == logs.Findings(
        errors=[
            "Failed to start proxy",
            "OSError: Address already in use",
            "RuntimeError: Proxy failed to start with exit code 1",
        ],
        deprecated=[
            "/opt/hub/lib/thing.py:7: DeprecationWarning: datetime.utcnow() is going",
            "JupyterHub.extra_handlers is deprecated in JupyterHub 3.1.",
        ],
        unrecognized=["Config option `statsd_host` not recognized by `JupyterHub`."],
        access=["No allow config found, it's possible that nobody can login to your Hub!"],
    )


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("GET /hub/login?token=abc123&next=/ 302", "GET /hub/login?token=***&next=/ 302"),
        ("Authorization: token abc123", "Authorization: token ***"),
        ("CONFIGPROXY_AUTH_TOKEN='abc123' set", "CONFIGPROXY_AUTH_TOKEN='***' set"),
        ('{"password": "abc123", "name": "ada"}', '{"password": "***", "name": "ada"}'),
        ("JUPYTERHUB_CRYPT_KEY=abc123", "JUPYTERHUB_CRYPT_KEY=***"),
        ("Connecting to postgresql://hub:abc123@db/hub", "Connecting to postgresql://hub:***@db/hub"),
        (
            "Listening on http://127.0.0.1:8000/ for ada@example.org",
            "Listening on http://127.0.0.1:8000/ for ada@example.org",
        ),
        ("\x1b[32m[I 2026 JupyterHub]\x1b[m Ready", "[I 2026 JupyterHub] Ready"),
    ],
)
def test_secrets_are_scrubbed(line: str, shown: str) -> None:
    assert logs.scrub(line) == shown


def test_the_end_of_a_log_is_short_and_scrubbed() -> None:
    assert logs.end([]) == "Its log is empty."
    assert logs.end(["first", "second", "token=abc"], count=2) == "The end of its log:\nsecond\ntoken=***"


def test_the_reason_of_a_failure_is_its_last_exception() -> None:
    output = """
Traceback (most recent call last):
  File "app.py", line 1, in connect
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked
(Background on this error at: https://sqlalche.me/e/20/e3q8)
"""
    assert (
        logs.reason(output)
        == "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked"
    )
    assert logs.reason("one\nKilled\n") == "Killed"
    assert logs.reason("") == ""
