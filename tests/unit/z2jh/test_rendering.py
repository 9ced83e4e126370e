"""What Helm says of values that a chart refuses, read from what Helm 3.17 and 4.3 have printed."""

from __future__ import annotations

from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.rendering import (
    FAILED,
    REFUSED,
    REMOVED,
    Problem,
    problems_of,
)

SCHEMA_3 = """\
Error: values don't meet the specifications of the schema(s) in the following chart(s):
jupyterhub:
- (root): Additional property singelusr is not allowed
- hub: Additional property extraConfg is not allowed
- hub.db.type: hub.db.type must be one of the following: "sqlite-pvc", "mysql"
- singleuser.cmd: Invalid type. Expected: [array,string,null], given: integer
"""
SCHEMA_4 = """\
Error: values don't meet the specifications of the schema(s) in the following chart(s):
jupyterhub:
- at '': additional properties 'singelusr' not allowed
- at '/hub': validation failed
  - at '/hub/db/type': value must be one of 'sqlite-pvc', 'mysql'
  - at '/hub': additional properties 'extraConfg', 'foo' not allowed
- at '/singleuser/cmd': got number, want null or string or array
- at '/hub/cookieSecret': 'a-secret' does not match pattern '^[0-9a-f]+$'
"""
NOTES = """\
Error: execution error at (jupyterhub/templates/NOTES.txt:162:4):

#################################################################################
######   BREAKING: The config values passed contained no longer accepted    #####
#################################################################################

BREAKING: the values have options that are no longer accepted.

CHANGED: rbac.enabled must as of version 2.0.0 be configured via rbac.create.

CHANGED: httpRoute.gateway must as of version 5.0.0 be configured like this:

httpRoute:
  parentRefs:
    - name: web


Use --debug flag to render out invalid YAML
"""


def test_helm_3_names_each_value_that_the_schema_refuses() -> None:
    assert [(each.key, each.message) for each in problems_of(SCHEMA_3)] == [
        ("singelusr", "the chart knows no such key"),
        ("hub.extraConfg", "the chart knows no such key"),
        ("hub.db.type", 'must be one of the following: "sqlite-pvc", "mysql"'),
        ("singleuser.cmd", "Invalid type. Expected: [array,string,null], given: integer"),
    ]


def test_helm_4_names_each_value_that_the_schema_refuses_and_no_value_itself() -> None:
    found = list(problems_of(SCHEMA_4))
    assert {each.kind for each in found} == {REFUSED}
    assert [(each.key, each.message) for each in found] == [
        ("singelusr", "the chart knows no such key"),
        ("hub.db.type", "value must be one of 'sqlite-pvc', 'mysql'"),
        ("hub.extraConfg", "the chart knows no such key"),
        ("hub.foo", "the chart knows no such key"),
        ("singleuser.cmd", "got number, want null or string or array"),
        ("hub.cookieSecret", "the value does not match pattern '^[0-9a-f]+$'"),
    ]


def test_each_key_that_the_chart_has_taken_away_is_told_as_the_chart_does() -> None:
    assert list(problems_of(NOTES)) == [
        Problem(
            REMOVED,
            "rbac.enabled",
            "CHANGED: rbac.enabled must as of version 2.0.0 be configured via rbac.create.",
        ),
        Problem(
            REMOVED,
            "httpRoute.gateway",
            "CHANGED: httpRoute.gateway must as of version 5.0.0 be configured like this:\n"
            "httpRoute:\n  parentRefs:\n    - name: web",
        ),
    ]


def test_any_other_failure_is_told_as_it_is() -> None:
    assert list(problems_of("Error: template: jupyterhub/templates/hub.yaml:3:1: nil pointer\n")) == [
        Problem(FAILED, "", "template: jupyterhub/templates/hub.yaml:3:1: nil pointer")
    ]
