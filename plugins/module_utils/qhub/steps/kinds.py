"""The steps in their order."""

from __future__ import annotations

from .backup import BackUp
from .base import Step
from .callbacks import AddCallback, RemoveCallbacks
from .commit import Commit
from .deploy import Deploy
from .destroy import DestroyOldSite
from .install import Install
from .rename_old_site import RenameOldSite
from .rename_project import RenameProject
from .restore import Restore
from .roll_back import ROLLBACK
from .root_password import RootPassword
from .upgrade_config import UpgradeConfig
from .users import ImportUsers
from .verify import Verify

#: As QHub's guide has them, but that the programs are installed before anything is done with them.
STEPS: tuple[Step, ...] = (
    BackUp(),
    Install(),
    RenameOldSite(),
    UpgradeConfig(),
    RenameProject(),
    Deploy(),
    AddCallback(),
    Commit(),
    Restore(),
    ImportUsers(),
    RootPassword(),
    Verify(),
    DestroyOldSite(),
    RemoveCallbacks(),
)
#: The names of all steps, those of the way back at the end.
NAMES = tuple(step.name for step in (*STEPS, *ROLLBACK))
