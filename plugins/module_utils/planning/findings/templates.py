"""Custom templates: forms and styles that do not work with the target's pages."""

from __future__ import annotations

import os
import re
from typing import Iterator

from ..upgrade import Upgrade
from .finding import BLOCKER, WARNING, Finding, Kind, listing

LOGIN_WITHOUT_XSRF = Kind(
    "login-without-xsrf",
    BLOCKER,
    "The custom login page has a form without `_xsrf`, and the upgrade crosses 4.0.",
    "No user can log in with it: the hub answers 403, `'_xsrf' argument missing from POST`.",
    'Add <input type="hidden" name="_xsrf" value="{{ xsrf }}" /> to the form.',
    accept=True,
)
FORM_WITHOUT_XSRF = Kind(
    "form-without-xsrf",
    WARNING,
    "A custom template has a form without `_xsrf`, and the upgrade crosses 4.0.",
    "Its requests are refused: the hub answers 403, `'_xsrf' argument missing from POST`.",
    'Add <input type="hidden" name="_xsrf" value="{{ xsrf }}" /> to the form.',
)
TEMPLATE_BOOTSTRAP_3 = Kind(
    "template-bootstrap-3",
    WARNING,
    "A custom template uses classes of Bootstrap 3, and the upgrade crosses 5.0.",
    "The hub's pages have Bootstrap 5 since 5.0, so the template looks broken; menus may not open.",
    "Rewrite it according to https://getbootstrap.com/docs/5.3/migration/.",
)
KINDS = (LOGIN_WITHOUT_XSRF, FORM_WITHOUT_XSRF, TEMPLATE_BOOTSTRAP_3)

_FORM = re.compile(r"<form\b.*?(?:</form>|\Z)", re.IGNORECASE | re.DOTALL)
_POST = re.compile(r"<form\b[^>]*\bmethod\s*=\s*[\"']?post", re.IGNORECASE | re.DOTALL)
#: Classes and attributes that Bootstrap 4 or 5 has dropped (its migration guides).
_BOOTSTRAP_3 = re.compile(
    r"class\s*=\s*[\"'][^\"']*\b(?:btn-default|btn-xs|col-xs-\d+|glyphicon|hidden-xs|img-responsive"
    r"|input-group-addon|navbar-default|navbar-toggle(?!r)|panel-(?:body|default|heading)|pull-(?:left|right)|well)\b"
    r"|\bdata-(?:toggle|target|dismiss)\s*="
)


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What custom templates lack."""
    templates = upgrade.host.templates
    if upgrade.crosses(4):
        unsafe = [path for path, text in templates.items() if _sends_without_xsrf(text)]
        logins = [path for path in unsafe if os.path.basename(path) == "login.html"]
        others = [path for path in unsafe if path not in logins]
        for kind, paths in ((LOGIN_WITHOUT_XSRF, logins), (FORM_WITHOUT_XSRF, others)):
            if paths:
                yield kind.found(f"Forms without `_xsrf`: {listing(paths)}.")
    if upgrade.crosses(5):
        old = [path for path, text in templates.items() if _BOOTSTRAP_3.search(text)]
        if old:
            yield TEMPLATE_BOOTSTRAP_3.found(f"Classes of Bootstrap 3: {listing(old)}.")


def _sends_without_xsrf(text: str) -> bool:
    """Whether a template has a form that is posted without the token."""
    return any(_POST.match(form) and "_xsrf" not in form for form in _FORM.findall(text))
