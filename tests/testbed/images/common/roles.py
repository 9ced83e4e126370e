"""Roles, in a file of their own that the main one includes."""

c = get_config()  # type: ignore[name-defined]  # noqa: F821

c.JupyterHub.load_roles = [
    {
        "name": "instructors",
        "description": "Look after the first group",
        "scopes": ["read:users!group=group-0", "servers!group=group-0"],
        "groups": ["group-1"],
    },
    {"name": "monitor", "scopes": ["read:users:activity", "read:hub"], "services": ["monitor"]},
]
